"""What staff can do to second factors, and what their owners hear of it."""

from __future__ import annotations

import logging
from unittest import mock

import pytest
from django.contrib.auth.models import Permission
from django.core import mail
from django.test import Client, override_settings
from django.utils import timezone

from django_secure_sessions.mfa import changes, factors
from django_secure_sessions.models import Authenticator, Session, SessionEvent
from django_secure_sessions.signals import event_recorded
from django_secure_sessions.state import ClientInfo
from django_secure_sessions.testing import login_with_second_factor
from tests.factories import SessionFactory, UserFactory
from tests.hearing import heard
from tests.mfa import give_recovery_codes, give_totp, wrong_code

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.mfa_pages")]

LIST = "/admin/django_secure_sessions/authenticator/"
VERIFY = "/account/mfa/verify/"


@pytest.fixture
def member(db):
    """Return a user with an authenticator app, as ``member.secret``."""
    person = UserFactory()
    person.secret = give_totp(person)
    return person


def staff(*codenames, **values):
    """Return a browser of a member of staff with these permissions."""
    person = UserFactory(is_staff=True, **values)
    person.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    browser = Client()
    browser.get(f"/enter/{person.pk}/")
    browser.name = person.username
    return browser


def reset(browser, member, **sent):
    """Choose the action for the member's factors and send the confirmation."""
    chosen = Authenticator.objects.filter(user=member).values_list("pk", flat=True)
    data = {"action": "reset_factors", "_selected_action": list(chosen), **sent}
    return browser.post(LIST, data)


class TestReset:
    CONFIRMED = {"confirmed": "yes", "reason": "Showed her passport"}

    def test_it_asks_first(self, member):
        """The page names the user and wants a reason; nothing happened yet."""
        page = reset(staff("reset_mfa"), member)
        assert member.username in page.content.decode()
        assert 'name="reason"' in page.content.decode()
        assert factors.has_factor(member.pk)

    def test_with_a_reason_everything_goes(self, member):
        """Factors and sessions end; the history has actor and reason."""
        give_recovery_codes(member)
        own = Client()
        login_with_second_factor(own, member)
        browser = staff("reset_mfa")

        reset(browser, member, **self.CONFIRMED)

        assert not Authenticator.objects.filter(user=member).exists()
        assert Session.objects.get(user=member).end_reason == "mfa_reset"
        event = SessionEvent.objects.get(kind="mfa_reset", session_id=None)
        assert event.user == member
        assert event.actor == browser.name
        assert event.detail == {"reason": "Showed her passport"}
        assert own.get("/who/").json() == {"user": None}

    @pytest.mark.parametrize("reason", ["", "   ", "x" * 201])
    def test_without_a_reason_nothing_goes(self, member, reason):
        """It is asked for again."""
        page = reset(staff("reset_mfa"), member, confirmed="yes", reason=reason)
        assert page.status_code == 200
        assert factors.has_factor(member.pk)

    def test_it_takes_the_permission(self, member):
        """Whoever may only look can't, by whatever form."""
        browser = staff("view_authenticator")
        assert "reset_factors" not in browser.get(LIST).content.decode()
        reset(browser, member, **self.CONFIRMED)
        assert factors.has_factor(member.pk)

    def test_only_a_superuser_resets_a_superuser(self, member):
        """Or the help desk could become one with a password alone."""
        type(member).objects.filter(pk=member.pk).update(is_superuser=True)
        assert reset(staff("reset_mfa"), member, **self.CONFIRMED).status_code == 403
        assert factors.has_factor(member.pk)
        reset(staff(is_superuser=True), member, **self.CONFIRMED)
        assert not factors.has_factor(member.pk)

    def test_no_page_of_the_admin_shows_a_secret(self, member):
        """Neither the list nor the page of a factor, to a superuser either."""
        browser = staff(is_superuser=True)
        factor = Authenticator.objects.get(user=member)
        for url in (LIST, f"{LIST}{factor.pk}/change/"):
            page = browser.get(url).content.decode()
            assert member.secret not in page
            assert bytes(factor.secret).hex() not in page


class TestNotices:
    """Mails that tell the owner, sent once the change is committed."""

    @pytest.fixture(autouse=True)
    def _committing(self, django_capture_on_commit_callbacks):
        self.committing = lambda: django_capture_on_commit_callbacks(execute=True)

    def guess(self, member, times):
        browser = Client()
        with self.committing():
            browser.get(f"/enter/{member.pk}/")
            for _ in range(times):
                bad = wrong_code(member.secret, timezone.now())
                browser.post(VERIFY, {"code": bad})
        return browser

    def test_a_new_factor(self, member):
        """Somebody added a factor: the owner reads of it, with place and time."""
        with self.committing():
            changes.added(
                member,
                Authenticator.objects.get(),
                keep=None,
                now=timezone.now(),
                client=ClientInfo("192.0.2.7"),
            )
        (message,) = mail.outbox
        assert message.to == [member.email]
        assert "added" in message.body
        assert "192.0.2.7" in message.body

    def test_a_removed_factor(self, member):
        """Removal is what a thief would begin with."""
        factor = Authenticator.objects.get()
        with self.committing():
            changes.removed(
                member,
                factor.pk,
                keep=None,
                now=timezone.now(),
                client=ClientInfo(),
            )
        assert "removed" in mail.outbox[0].body

    def test_a_used_recovery_code(self, member):
        """Each use is told."""
        codes = give_recovery_codes(member)
        browser = self.guess(member, 0)
        with self.committing():
            browser.post(VERIFY, {"recovery_code": codes[0]})
        assert "recovery codes was used" in mail.outbox[0].body
        assert codes[0] not in mail.outbox[0].body

    def test_five_failures(self, member):
        """At the fifth, once: four slips are nobody's business."""
        self.guess(member, 4)
        assert mail.outbox == []
        self.guess(member, 1)
        assert len(mail.outbox) == 1
        assert "knows your password" in mail.outbox[0].body

    def test_a_reset(self, member):
        """What an administrator did, its owner hears of."""
        with self.committing():
            changes.reset(
                member,
                actor="root",
                reason="",
                now=timezone.now(),
                client=ClientInfo(),
            )
        assert "administrator" in mail.outbox[0].body

    def test_a_reset_is_one_notice(self, member):
        """However many sessions ended with it."""
        for _number in range(2):
            SessionFactory(user=member)
        with self.committing():
            changes.reset(
                member,
                actor="root",
                reason="",
                now=timezone.now(),
                client=ClientInfo(),
            )
        assert len(mail.outbox) == 1

    def test_says_what_to_do_if_it_was_not_you(self, member):
        """The last line is for whoever is being robbed: what to do, and where."""
        with self.committing():
            changes.regenerated(
                member, session_id=None, now=timezone.now(), client=ClientInfo()
            )
        body = mail.outbox[0].body
        assert "If it was not you, change your password now" in body
        assert "/account/sessions/" in body
        # A whole address could only come from a request, which may lie.
        assert "://" not in body

    @pytest.mark.urls("tests.edges.no_pages")
    def test_site_without_our_pages_names_none(self, member):
        """A site that did not include the pages has nothing to point to."""
        with self.committing():
            changes.regenerated(
                member, session_id=None, now=timezone.now(), client=ClientInfo()
            )
        body = mail.outbox[0].body
        assert "If it was not you, change your password now" in body
        assert "sign out" not in body

    def test_what_is_rolled_back_is_told_to_nobody(self, member):
        """No commit, no mail."""
        changes.regenerated(
            member, session_id=None, now=timezone.now(), client=ClientInfo()
        )
        assert mail.outbox == []

    def test_a_mail_server_that_is_down_blocks_nothing(self, member, caplog):
        """The change holds, and the failure is in the log."""
        with (
            mock.patch.object(mail.EmailMessage, "send", side_effect=OSError),
            caplog.at_level(logging.ERROR),
            self.committing(),
        ):
            codes = changes.regenerated(
                member, session_id=None, now=timezone.now(), client=ClientInfo()
            )
        assert len(codes) == 10
        assert "was not sent" in caplog.text
        assert member.email not in caplog.text

    @override_settings(SECURE_SESSIONS={"NOTIFY": None})
    def test_a_site_can_do_without(self, member):
        """No mails, and the signal is still there for whoever listens."""
        with heard(event_recorded) as told, self.committing():
            changes.regenerated(
                member, session_id=None, now=timezone.now(), client=ClientInfo()
            )
        assert mail.outbox == []
        assert [each["event"].kind for each in told] == ["recovery_regenerated"]

    def test_who_has_no_address_gets_no_mail(self, member):
        """And nothing fails for it."""
        type(member).objects.update(email="")
        with self.committing():
            changes.regenerated(
                member, session_id=None, now=timezone.now(), client=ClientInfo()
            )
        assert mail.outbox == []
