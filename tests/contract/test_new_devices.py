"""A login from a device its user was not seen with, and who hears of it."""

from __future__ import annotations

import logging
from datetime import timedelta
from unittest import mock

import pytest
from django.core import mail
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_secure_sessions import lifecycle, new_devices
from django_secure_sessions.backends.retention import purge
from django_secure_sessions.models import Session, SessionEvent
from django_secure_sessions.signals import new_device_seen
from tests import hearing
from tests.concurrency.threads import together
from tests.factories import EventFactory, SessionFactory, UserFactory
from tests.mfa import code_at, give_totp
from tests.visitor import Visitor

pytestmark = pytest.mark.django_db(transaction=True)

LINUX_FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
WINDOWS_FIREFOX = LINUX_FIREFOX.replace("X11; Linux x86_64", "Windows NT 10.0; Win64")
LINUX_CHROME = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/148.0.0.0 Safari/537.36"
)


@pytest.fixture
def sign_in(visitor, clock, user):
    """Return what signs a user in from a new browser, a minute after the last one."""

    def enter(user_agent=LINUX_FIREFOX, who=user, **headers):
        clock.shift(60)
        browser = visitor()
        browser.enter(who, user_agent=user_agent, **headers)
        return browser

    return enter


@pytest.fixture
def heard():
    """Collect what ``new_device_seen`` tells."""
    with hearing.heard(new_device_seen) as found:
        yield found


def noted():
    """Return the user agents that were noted as new devices, in order."""
    events = SessionEvent.objects.filter(kind="new_device").order_by("pk")
    return list(events.values_list("user_agent", flat=True))


class TestWhatIsNew:
    def test_first_login(self, sign_in, heard):
        """Whoever just signed up has no new device."""
        sign_in()

        assert noted() == heard == []

    @pytest.mark.parametrize(
        "user_agent", [LINUX_CHROME, WINDOWS_FIREFOX, "curl/8.5.0", ""]
    )
    def test_other_device(self, sign_in, heard, user, user_agent):
        """Another browser, system or program is: an event and a signal say so."""
        sign_in()
        sign_in(user_agent)
        session = Session.objects.latest("created_at")
        event = SessionEvent.objects.get(kind="new_device")

        assert event.user == user
        assert event.username == user.username
        assert event.session_id == session.pk
        assert (event.ip_address, event.user_agent) == ("127.0.0.1", user_agent)
        assert event.at == session.authenticated_at
        (told,) = heard
        assert (told["session_id"], told["user_id"]) == (session.pk, user.pk)
        assert told["client"].user_agent == user_agent

    def test_same_device(self, sign_in, settings):
        """An update and another network keep a device known."""
        settings.SECURE_SESSIONS = {"TRUSTED_PROXIES": 1}
        sign_in(x_forwarded_for="198.51.100.1")
        sign_in(LINUX_FIREFOX.replace("140", "141"), x_forwarded_for="203.0.113.9")

        assert noted() == []

    def test_once(self, sign_in):
        """A device is new once."""
        for user_agent in (LINUX_FIREFOX, LINUX_CHROME, LINUX_CHROME, LINUX_FIREFOX):
            sign_in(user_agent)

        assert noted() == [LINUX_CHROME]

    def test_once_more_in_the_same_session(self, sign_in, user, clock):
        """A session that signs in again from elsewhere is looked at as well."""
        browser = sign_in()
        clock.shift(60)
        browser.enter(user, user_agent=LINUX_CHROME)

        assert noted() == [LINUX_CHROME]

    def test_devices_of_others(self, sign_in):
        """What other users sign in with makes no device known, nor new."""
        sign_in(LINUX_CHROME, UserFactory())
        sign_in()
        sign_in(LINUX_CHROME)

        assert noted() == [LINUX_CHROME]

    def test_outlives_the_session(self, sign_in):
        """A device stays known when the history of its session is gone."""
        sign_in()
        sign_in(LINUX_CHROME)
        Session.objects.all().delete()
        sign_in(LINUX_CHROME)

        assert noted() == [LINUX_CHROME]

    def test_forgotten_with_its_logins(self, sign_in, clock, settings):
        """Not used for as long as events are kept, it is new again."""
        settings.SECURE_SESSIONS = {"EVENT_RETENTION": timedelta(days=90)}
        sign_in(LINUX_CHROME)
        clock.shift(timedelta(days=60))
        sign_in()
        clock.shift(timedelta(days=60))
        purge(timezone.now())
        sign_in(LINUX_CHROME)

        assert noted() == [LINUX_FIREFOX, LINUX_CHROME]

    def test_forgotten_user(self, sign_in, clock):
        """Of whom no login is on record any more, the next is the first."""
        sign_in()
        clock.shift(timedelta(days=366))
        purge(timezone.now())
        sign_in(LINUX_CHROME)

        assert noted() == []

    def test_looks_back_so_far(self, sign_in, monkeypatch):
        """Only the latest logins count, however many there were."""
        monkeypatch.setattr(new_devices, "REMEMBERED", 2)
        for user_agent in (LINUX_CHROME, LINUX_FIREFOX, LINUX_FIREFOX, LINUX_CHROME):
            sign_in(user_agent)

        assert noted() == [LINUX_FIREFOX, LINUX_CHROME]

    def test_rolled_back_login(self, sign_in, user, clock):
        """A login that was not committed shows nothing and makes nothing known."""
        sign_in()
        clock.shift(60)
        with transaction.atomic():
            SessionFactory(user=user, user_agent=LINUX_CHROME)
            transaction.set_rollback(True)

        assert noted() == []
        sign_in(LINUX_CHROME)
        assert noted() == [LINUX_CHROME]

    def test_off(self, sign_in, settings, heard):
        """A site can do without."""
        settings.SECURE_SESSIONS = {"NEW_DEVICE": "off"}
        sign_in()
        sign_in(LINUX_CHROME)

        assert noted() == heard == []


def test_somebody_who_acts_as_the_user(sign_in, settings):
    """It is not the user's device: nobody is told, and it does not become known."""
    sign_in()
    notifying = {"NEW_DEVICE": "notify"}
    settings.SECURE_SESSIONS = {**notifying, "IMPERSONATION": lambda data: "7"}
    sign_in(LINUX_CHROME)

    assert noted() == mail.outbox == []
    settings.SECURE_SESSIONS = notifying
    sign_in(LINUX_CHROME)
    assert noted() == [LINUX_CHROME]
    assert len(mail.outbox) == 1


def test_second_factor(sign_in, visitor, settings, user, clock):
    """A password alone is no login: the device is new once the code was shown."""
    sign_in()
    secret = give_totp(user)
    settings.ROOT_URLCONF = "tests.mfa_pages"
    clock.shift(60)
    browser = visitor()
    page = "aenter" if browser.asgi else "enter"
    browser.get(f"/{page}/{user.pk}/", user_agent=LINUX_CHROME)
    assert noted() == []
    code = code_at(secret, timezone.now())
    browser.post("/account/mfa/verify/", {"code": code}, user_agent=LINUX_CHROME)

    assert noted() == [LINUX_CHROME]


def test_two_at_once(engine, settings, user):
    """Parallel logins from one new device do not pass each other off as known."""
    settings.ROOT_URLCONF = "tests.pages"
    Visitor().enter(user, user_agent=LINUX_FIREFOX)

    def enter(browser):
        return browser.enter(user, user_agent=LINUX_CHROME)

    together(enter, [Visitor() for _ in range(6)])

    assert set(noted()) == {LINUX_CHROME}


class TestMail:
    @pytest.fixture(autouse=True)
    def _notify(self, settings):
        settings.SECURE_SESSIONS = {"NEW_DEVICE": "notify"}

    @pytest.fixture
    def letter(self, sign_in, settings):
        """Return what signs in with a new device and returns the mail's text."""

        def write(ip="8.8.8.8", user_agent=LINUX_CHROME, **chosen):
            settings.SECURE_SESSIONS = {
                "NEW_DEVICE": "notify",
                "TRUSTED_PROXIES": 1,
                **chosen,
            }
            sign_in(x_forwarded_for=ip)
            sign_in(user_agent, x_forwarded_for=ip)
            return mail.outbox[-1].body

        return write

    def test_names_device_and_time(self, letter, settings, user, clock):
        """The user reads what signed in and when, in the site's time zone."""
        settings.TIME_ZONE = "Europe/Berlin"
        clock.move_to("2026-11-02T12:00:00+00:00", tick=False)
        body = letter()
        (message,) = mail.outbox

        assert message.to == [user.email]
        assert message.subject == "A new sign-in to your account"
        assert "Device: Chrome on Linux\n" in body
        assert "Time: Nov. 2, 2026, 13:02 CET\n" in body
        assert "Address: 8.8.8.8\n" in body

    def test_says_what_to_do(self, letter):
        """It names the page that signs a device out, and has no link to click."""
        body = letter()

        assert "under /account/sessions/, sign out every device" in body
        assert "://" not in body

    def test_no_link_by_the_client(self, letter):
        """What a client calls itself is not taken for an address."""
        body = letter(user_agent="account-help.example/1.0")

        assert "Device: account-help example\n" in body

    def test_device_without_a_name(self, letter):
        """A client that does not say what it is, is called unknown."""
        assert "Device: Unknown device\n" in letter(user_agent="")

    @pytest.mark.parametrize("ip", ["10.1.2.3", "192.168.1.1", "127.0.0.1", "fd00::7"])
    def test_private_address(self, letter, ip):
        """An address of a private network is called that, and no place."""
        with mock.patch("django_secure_sessions.notices.location") as location:
            body = letter(ip)

        assert f"Address: {ip} (a private network)\n" in body
        assert not location.called

    def test_place(self, letter):
        """A public address has its place, if the site can tell it."""
        with mock.patch(
            "django_secure_sessions.notices.location", return_value="London, UK"
        ):
            assert "Address: 8.8.8.8 (London, UK)\n" in letter()

    @pytest.mark.parametrize(
        ("mode", "shown"),
        [("truncated", "Address: 8.8.8.0\n"), ("hashed", None), ("off", None)],
    )
    def test_privacy(self, letter, mode, shown):
        """An address is told as it is kept; a digest of it tells nobody anything."""
        body = letter(IP_PRIVACY=mode)

        assert shown in body if shown else "Address" not in body

    def test_known_device(self, sign_in):
        """Neither a first login nor one from a known device is worth a mail."""
        sign_in()
        sign_in()

        assert mail.outbox == []

    def test_log_sends_none(self, sign_in, settings):
        """Unless the site asks for mail there is none."""
        settings.SECURE_SESSIONS = {}
        sign_in()
        sign_in(LINUX_CHROME)

        assert noted() == [LINUX_CHROME]
        assert mail.outbox == []

    def test_without_an_address(self, sign_in, user):
        """Who has no address gets no mail, and signs in as ever."""
        type(user).objects.update(email="")
        sign_in()

        assert sign_in(LINUX_CHROME).user == user.pk
        assert mail.outbox == []

    def test_other_sender(self, sign_in, settings):
        """NOTIFY sends in place of ours."""
        sent = []
        settings.SECURE_SESSIONS = {"NEW_DEVICE": "notify", "NOTIFY": sent.append}
        sign_in()
        sign_in(LINUX_CHROME)

        assert [event.kind for event in sent] == ["new_device"]
        assert mail.outbox == []

    def test_mail_server_down(self, sign_in, user, caplog):
        """A mail that fails is logged, without the address, and harms no login."""
        sign_in()
        with mock.patch.object(mail.EmailMessage, "send", side_effect=OSError):
            browser = sign_in(LINUX_CHROME)

        assert browser.user == user.pk
        assert "A notice of new_device to user" in caplog.text
        assert user.email not in caplog.text


def test_receiver_ends_the_session(sign_in):
    """A site that trusts no new device ends its session when it hears of it."""

    def end(session_id, **told):
        lifecycle.end(session_id)

    sign_in()
    with hearing.connected(new_device_seen, end):
        browser = sign_in(LINUX_CHROME)

    assert browser.user is None
    assert Session.objects.get(user_agent=LINUX_CHROME).end_reason == "revoked"


class TestFailures:
    def test_audit_trail_fails(self, sign_in, user, caplog):
        """A look back that fails is logged and harms no login."""
        sign_in()
        with mock.patch.object(new_devices, "_is_new", side_effect=DatabaseError):
            browser = sign_in(LINUX_CHROME)

        assert browser.user == user.pk
        assert "DatabaseError" in caplog.text
        assert noted() == []

    def test_receiver_fails(self, sign_in, user, caplog):
        """Nor does a receiver that raises."""

        def fail(**told):
            raise RuntimeError("receiver")

        sign_in()
        with hearing.connected(new_device_seen, fail):
            browser = sign_in(LINUX_CHROME)

        assert browser.user == user.pk
        assert any(record.levelno == logging.ERROR for record in caplog.records)
        assert noted() == [LINUX_CHROME]


def test_own_page(sign_in):
    """People see on their own page that a device was new."""
    sign_in()
    page = sign_in(LINUX_CHROME).get("/account/sessions/").content.decode()

    assert page.count("Signed in from a new device") == 1


@pytest.mark.vendor("postgresql")
def test_index(user, monkeypatch):
    """
    On PostgreSQL the look back goes down the index of a user's events and stops:
    it costs a busy account no more than any other.
    """
    monkeypatch.setattr(new_devices, "REMEMBERED", 10)
    now = timezone.now()
    SessionEvent.objects.bulk_create(
        SessionEvent(user=owner, kind=kind, at=now - timedelta(minutes=number))
        for owner in (user, UserFactory())
        for number in range(1_000)
        for kind in ("login", "evicted")
    )
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {SessionEvent._meta.db_table}")
    with CaptureQueriesContext(connection) as asked:
        new_devices.note(EventFactory.build(user=user, at=now))
    (query,) = asked.captured_queries
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {query['sql']}")
        plan = "\n".join(line for (line,) in cursor.fetchall())

    assert "Index Scan Backward using secure_sessions_events_by_user" in plan
    assert "Sort" not in plan
