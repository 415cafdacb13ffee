"""The one verify service: what it charges, spends and finishes, and in what order."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.test import override_settings
from django.utils import timezone

from django_secure_sessions.exceptions import (
    AttemptsExhausted,
    CodeRejected,
    FactorsDisabled,
    NothingPending,
)
from django_secure_sessions.mfa import pending, throttle, verify
from django_secure_sessions.models import (
    Authenticator,
    Session,
    SessionEvent,
    UserSecurity,
)
from django_secure_sessions.signals import session_authenticated
from django_secure_sessions.state import ClientInfo
from tests.factories import PASSWORD, UserFactory
from tests.hearing import heard
from tests.mfa import (
    code_at,
    give_recovery_codes,
    give_totp,
    pending_session,
    reloaded,
    wrong_code,
)

CLIENT = ClientInfo("192.0.2.1", "Firefox")


@pytest.fixture
def secret(user):
    """Return the secret of the user's authenticator app."""
    return give_totp(user)


def finish(session, code, now=None):
    """Show a code to a half-done login."""
    now = now or timezone.now()
    return verify.finish_login(session, verify.parse_code(code), now=now, client=CLIENT)


def right(secret):
    """Return the code of this moment."""
    return code_at(secret, timezone.now())


def wrong(secret):
    """Return a code of no moment near this one."""
    return wrong_code(secret, timezone.now())


def kinds():
    """Return the kinds of all events, in order."""
    return list(SessionEvent.objects.order_by("id").values_list("kind", flat=True))


class TestPending:
    def test_it_is_nobodys_session(self, user, secret):
        """Neither the row nor the data names a user where others look for one."""
        session = pending_session(user)

        row = Session.objects.get()
        assert (row.user_id, row.aal) == (None, 0)
        assert not {SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY} & set(
            reloaded(session).keys()
        )

    def test_it_keeps_no_password(self, user):
        """What is kept is who, by which backend, since when; no password."""
        kept = reloaded(pending_session(user))[pending.PENDING_KEY]
        assert set(kept) == {
            "user",
            "backend",
            "auth_hash",
            "started_at",
            "amr",
            "announced",
            "tries",
            "purpose",
            "aal",
        }
        assert PASSWORD not in str(kept)
        assert user.password not in str(kept)

    def test_nothing_pending(self, db):
        """A session without a half-done login is told so."""
        session = reloaded(pending_session(UserFactory()))
        pending.drop(session)
        with pytest.raises(NothingPending):
            finish(session, "123456")

    def test_it_ends_after_ten_minutes(self, user, secret):
        """A right code comes too late, and is not spent."""
        session = pending_session(user)
        late = timezone.now() + timedelta(minutes=10)

        with pytest.raises(NothingPending):
            finish(session, code_at(secret, late), late)
        assert Authenticator.objects.get().last_step == -1
        assert pending.PENDING_KEY not in session

    def test_it_ends_with_the_password(self, user, secret):
        """Another password in between: sign in again from the start."""
        session = pending_session(user)
        user.set_password("another")
        user.save()
        with pytest.raises(NothingPending):
            finish(session, right(secret))

    def test_it_ends_with_the_user(self, user, secret):
        """Deactivated in between: no way in."""
        session = pending_session(user)
        type(user).objects.update(is_active=False)
        with pytest.raises(NothingPending):
            finish(session, right(secret))

    @pytest.mark.parametrize(
        "change",
        [
            {"purpose": "password_reset"},
            {"backend": "tests.backends.Gone"},
            {"user": "no number"},
            {"user": "0"},
            {"surplus": 1},
            {"auth_hash": ""},
            {"started_at": 9e12},
        ],
    )
    def test_it_serves_one_purpose(self, user, secret, change):
        """What was kept for something else, or makes no sense, finishes no login."""
        session = pending_session(user)
        session[pending.PENDING_KEY] = session[pending.PENDING_KEY] | change
        with pytest.raises(NothingPending):
            finish(session, right(secret))

    @pytest.mark.parametrize("kept", ["text", 1, [], {"user": "1"}])
    def test_garbage_finishes_nothing(self, user, secret, kept):
        """Data of another shape is no half-done login."""
        session = pending_session(user)
        session[pending.PENDING_KEY] = kept
        with pytest.raises(NothingPending):
            finish(session, right(secret))

    def test_it_bears_five_tries(self, user, secret):
        """Then even a right code finds nothing, once the wait is over."""
        session = pending_session(user)
        for _ in range(5):
            with pytest.raises(CodeRejected):
                finish(session, wrong(secret))
        later = timezone.now() + timedelta(minutes=2)

        with pytest.raises(NothingPending):
            finish(session, code_at(secret, later), later)
        assert pending.PENDING_KEY not in session

    def test_it_counts_for_no_limit(self, user, secret):
        """Half-done logins evict nobody: only a finished one does."""
        with override_settings(SECURE_SESSIONS={"MAX_SESSIONS": 1}):
            first = pending_session(user)
            pending_session(user)
            pending_session(user)
            finish(first, right(secret))

            assert Session.objects.filter(user=user, ended_at=None).count() == 1
            assert "evicted" not in kinds()


class TestFinish:
    def test_a_code_binds_the_session(self, user, secret):
        """The user, the level, the methods and a new key, at once."""
        session = pending_session(user)
        before = session.session_key

        finish(session, right(secret))

        row = Session.objects.get()
        assert (row.user_id, row.aal, row.amr) == (user.pk, 2, "pwd otp")
        assert session.session_key != before
        assert reloaded(session)[SESSION_KEY] == str(user.pk)
        assert pending.PENDING_KEY not in reloaded(session)

    def test_the_key_of_the_half_done_login_is_dead(self, user, secret):
        """Not even the grace period of a rotation keeps it alive."""
        session = pending_session(user)
        before = session.session_key

        finish(session, right(secret))

        assert SESSION_KEY not in type(session)(before)

    def test_data_from_before_is_kept(self, user, secret):
        """A basket filled before the login is still full."""
        session = pending_session(user)
        session["basket"] = ["tea"]

        finish(session, right(secret))

        assert reloaded(session)["basket"] == ["tea"]

    def test_completion_is_signalled_once(
        self, user, secret, django_capture_on_commit_callbacks
    ):
        """session_authenticated comes with the code, not with the password."""
        with heard(session_authenticated) as told:
            with django_capture_on_commit_callbacks(execute=True):
                session = pending_session(user)
            assert told == []
            with django_capture_on_commit_callbacks(execute=True):
                finish(session, right(secret))
        assert [(each["user_id"], each["aal"]) for each in told] == [(user.pk, 2)]

    def test_a_recovery_code_does_as_well(self, user, secret):
        """It is spent, and the history says how many are left."""
        codes = give_recovery_codes(user)
        session = pending_session(user)
        answer = verify.parse_recovery_code(codes[0])

        verify.finish_login(session, answer, now=timezone.now(), client=CLIENT)

        assert Session.objects.get().amr == "pwd recovery"
        used = SessionEvent.objects.get(kind="recovery_used")
        assert used.detail == {"left": 9}

    def test_the_same_code_opens_no_second_session(self, user, secret):
        """A code seen over a shoulder is worth nothing."""
        code = right(secret)
        finish(pending_session(user), code)

        with pytest.raises(CodeRejected):
            finish(pending_session(user), code)
        assert Session.objects.filter(user=user).count() == 1

    def test_a_failure_to_bind_spends_nothing(self, user, secret, monkeypatch):
        """The code, the budget and the half-done login are as before."""
        session = pending_session(user)
        code = right(secret)

        def fail(*args, **kwargs):
            raise RuntimeError("the disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(type(session), "save", fail)
            with pytest.raises(RuntimeError):
                finish(session, code)
        assert SESSION_KEY not in session
        assert Authenticator.objects.get().last_step == -1
        assert Session.objects.filter(user=user).count() == 0

        session = reloaded(session)
        finish(session, code)
        assert Session.objects.get().user_id == user.pk

    def test_a_half_done_login_finishes_once(self, user, secret):
        """Two requests with two good proofs make one login; the other spends none."""
        codes = give_recovery_codes(user)
        first = pending_session(user)
        second = reloaded(first)
        assert second[pending.PENDING_KEY]
        finish(first, right(secret))

        with pytest.raises(Exception, match="session"):
            verify.finish_login(
                second,
                verify.parse_recovery_code(codes[0]),
                now=timezone.now(),
                client=CLIENT,
            )
        assert SessionEvent.objects.filter(kind="recovery_used").count() == 0


class TestBudget:
    def test_a_right_code_during_the_wait_is_not_evaluated(self, user, secret):
        """It is refused, and stays unspent."""
        session = pending_session(user)
        for _ in range(5):
            with pytest.raises(CodeRejected):
                finish(session, wrong(secret))

        with pytest.raises(AttemptsExhausted):
            finish(session, right(secret))
        assert Authenticator.objects.get().last_step == -1

    def test_it_is_one_budget_for_all_logins(self, user, secret):
        """New logins from other browsers bring no new tries."""
        for _ in range(5):
            with pytest.raises(CodeRejected):
                finish(pending_session(user), wrong(secret))

        with pytest.raises(AttemptsExhausted):
            finish(pending_session(user), right(secret))

    def test_it_is_one_budget_for_all_doors(self, user, secret):
        """Login, recovery code and step-up draw on the same."""
        codes = give_recovery_codes(user)
        session = pending_session(user)
        finish(session, right(secret))
        now = timezone.now()
        for _ in range(2):
            with pytest.raises(CodeRejected):
                verify.step_up(
                    session,
                    user,
                    verify.parse_code(wrong(secret)),
                    now=now,
                    client=CLIENT,
                )
        for _ in range(2):
            with pytest.raises(CodeRejected):
                finish(pending_session(user), wrong(secret))
        forged = codes[0][:5] + codes[1][5:]
        with pytest.raises(CodeRejected):
            verify.finish_login(
                pending_session(user),
                verify.parse_recovery_code(forged),
                now=now,
                client=CLIENT,
            )

        with pytest.raises(AttemptsExhausted):
            finish(pending_session(user), wrong(secret))

    def test_a_success_forgives(self, user, secret):
        """Four slips and a success: all free tries are back."""
        session = pending_session(user)
        for _ in range(4):
            with pytest.raises(CodeRejected):
                finish(session, wrong(secret))

        finish(session, right(secret))

        assert UserSecurity.objects.get().failures == 0

    def test_one_success_does_not_forgive_another_user(self, user, secret):
        """An attacker's own login leaves the victim's counter alone."""
        attacker = UserFactory()
        own = give_totp(attacker)
        for _ in range(3):
            with pytest.raises(CodeRejected):
                finish(pending_session(user), wrong(secret))

        finish(pending_session(attacker), right(own))

        assert UserSecurity.objects.get(user=user).failures == 3

    def test_the_fifth_failure_is_worth_a_notice(self, user, secret):
        """The history says that somebody knows the password and guesses."""
        session = pending_session(user)
        for _ in range(5):
            with pytest.raises(CodeRejected):
                finish(session, wrong(secret))
        assert kinds().count("mfa_failed") == 5
        assert kinds().count("mfa_locked") == 1

    def test_the_fiftieth_failure_disables_the_factors(self, user, secret):
        """Nothing opens any more, however long one waits."""
        UserSecurity.objects.update_or_create(user=user, defaults={"failures": 49})
        with pytest.raises(CodeRejected):
            finish(pending_session(user), wrong(secret))

        assert Authenticator.objects.get().disabled_at is not None
        assert "mfa_disabled" in kinds()
        with pytest.raises(FactorsDisabled):
            finish(pending_session(user), right(secret))

    def test_wrong_passwords_cost_nothing_of_it(self, client, user, secret):
        """Only who has the password can spend, or lock, the second factor."""
        for _ in range(10):
            assert not client.login(username=user.username, password="guess")
        assert not UserSecurity.objects.filter(failures__gt=0).exists()


class TestStepUp:
    def test_a_code_raises_the_session(self, user, secret):
        """Level, methods, clock and key are new; the data is kept."""
        session = pending_session(user)
        finish(session, right(secret))
        before = session.session_key
        Session.objects.update(aal=1, amr="pwd remembered_device")
        session = reloaded(session)
        later = timezone.now() + timedelta(seconds=90)

        verify.step_up(
            session,
            user,
            verify.parse_code(code_at(secret, later)),
            now=later,
            client=CLIENT,
        )

        row = Session.objects.get()
        assert (row.aal, row.amr) == (2, "pwd otp")
        assert session.session_key != before
        assert kinds()[-1] == "step_up"

    def test_a_password_is_not_enough_for_who_has_a_factor(self, user, secret):
        """A thief of session and password does not get past the factor."""
        session = pending_session(user)
        finish(session, right(secret))
        with pytest.raises(CodeRejected):
            verify.step_up(
                session,
                user,
                verify.Password(lambda: True),
                now=timezone.now(),
                client=CLIENT,
            )

    def test_a_guessed_password_is_charged_too(self, user):
        """Step-up by password is no unthrottled oracle."""
        session = pending_session(user)
        pending.complete(session, pending.find(session, timezone.now())[0], user)
        for _ in range(5):
            with pytest.raises(CodeRejected):
                verify.step_up(
                    session,
                    user,
                    verify.Password(lambda: False),
                    now=timezone.now(),
                    client=CLIENT,
                )
        with pytest.raises(AttemptsExhausted):
            throttle.charge(user.pk, timezone.now())
