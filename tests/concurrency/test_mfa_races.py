"""Many attempts at once: one code opens one session, one budget holds for all."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connections
from django.utils import timezone

from django_secure_sessions.exceptions import AttemptsExhausted, CodeRejected
from django_secure_sessions.mfa import recovery, throttle, totp, verify, webauthn
from django_secure_sessions.models import (
    Authenticator,
    RecoveryCode,
    Session,
    SessionEvent,
    UserSecurity,
)
from django_secure_sessions.state import ClientInfo
from tests.mfa import (
    code_at,
    give_recovery_codes,
    give_totp,
    pending_session,
    reloaded,
    wrong_code,
)
from tests.security_key import SITE, Key

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(attempts):
    """Run all attempts at the same moment; count the kinds of their outcomes."""
    barrier = Barrier(len(attempts))

    def run(attempt):
        barrier.wait()
        try:
            attempt()
        except Exception as error:
            return type(error)
        finally:
            connections.close_all()
        return None

    with ThreadPoolExecutor(len(attempts)) as pool:
        return Counter(pool.map(run, attempts))


def logins(user, answer, count):
    """Return attempts to finish `count` half-done logins with one answer."""
    now = timezone.now()

    def attempt(session):
        return lambda: verify.finish_login(
            session, answer, now=now, client=ClientInfo()
        )

    sessions = [reloaded(pending_session(user)) for _ in range(count)]
    return [attempt(session) for session in sessions]


def test_one_code_opens_one_session(user):
    """Forty browsers show the same right code: one gets in."""
    answer = verify.parse_code(code_at(give_totp(user), timezone.now()))

    outcomes = at_once(logins(user, answer, 40))

    assert outcomes[None] == 1
    assert set(outcomes) <= {None, CodeRejected, AttemptsExhausted}
    assert Session.objects.filter(user=user, ended_at=None).count() == 1


def test_one_code_is_spent_once_even_without_a_budget(user):
    """The conditional UPDATE alone lets one of forty through."""
    code, now = code_at(give_totp(user), timezone.now()), timezone.now()

    outcomes = at_once([lambda: totp.consume(user.pk, code, now)] * 40)

    assert outcomes == {None: 1, CodeRejected: 39}


def test_a_burst_of_guesses_stays_within_the_budget(user):
    """Of fifty wrong codes at once five are looked at."""
    answer = verify.parse_code(wrong_code(give_totp(user), timezone.now()))

    outcomes = at_once(logins(user, answer, 50))

    assert outcomes == {CodeRejected: 5, AttemptsExhausted: 45}
    assert SessionEvent.objects.filter(kind="mfa_failed").count() == 5
    assert SessionEvent.objects.filter(kind="mfa_locked").count() == 1
    assert UserSecurity.objects.get().failures == 5


def test_a_first_burst_finds_no_row_to_charge(user):
    """The budget holds from a user's very first attempt on."""
    now = timezone.now()

    outcomes = at_once([lambda: throttle.charge(user.pk, now)] * 30)

    assert outcomes == {None: 5, AttemptsExhausted: 25}


def test_a_recovery_code_is_spent_once(user):
    """Thirty threads spend the same code: one succeeds."""
    code, now = give_recovery_codes(user)[0], timezone.now()

    outcomes = at_once([lambda: recovery.consume(user.pk, code, now)] * 30)

    assert outcomes == {None: 1, CodeRejected: 29}
    assert recovery.remaining(user.pk) == 9


def test_different_codes_are_spent_side_by_side(user):
    """Ten codes in ten threads: all are spent, none comes back."""
    codes, now = give_recovery_codes(user), timezone.now()

    outcomes = at_once(
        [lambda code=code: recovery.consume(user.pk, code, now) for code in codes]
    )

    assert outcomes == {None: 10}
    assert RecoveryCode.objects.filter(used_at=None).count() == 0


def test_parallel_regenerations_leave_one_set(user):
    """Whoever is last has ten codes that work; no other code does."""
    now, made = timezone.now(), []

    at_once([lambda: made.append(recovery.generate(user, now))] * 8)

    assert Authenticator.objects.filter(type="recovery").count() == 1
    assert recovery.remaining(user.pk) == 10


def test_an_enrolment_is_confirmed_once(user):
    """Twenty confirmations of one secret make one factor."""
    enrolment, now = totp.new_enrolment(), timezone.now()
    code = code_at(enrolment.secret, now)

    outcomes = at_once([lambda: totp.confirm(user, enrolment, code, "", now)] * 20)

    assert outcomes == {None: 1, CodeRejected: 19}
    assert Authenticator.objects.count() == 1


def test_a_signature_counts_once(user):
    """Twenty threads show the signature of a key that counts nothing: one wins."""
    key, asked = Key(), webauthn.new_challenge(timezone.now())
    webauthn.register(user, key.create(asked), asked, SITE, "", timezone.now())
    asked = webauthn.new_challenge(timezone.now())
    answer, now = key.sign(asked, count=0), timezone.now()

    outcomes = at_once(
        [lambda: webauthn.consume(user.pk, answer, asked, SITE, now)] * 20
    )

    assert outcomes == {None: 1, CodeRejected: 19}
