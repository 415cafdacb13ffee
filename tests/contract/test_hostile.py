"""What a browser, or somebody with the database, may send us: nothing comes of it."""

from __future__ import annotations

import logging
import random
from collections import Counter
from datetime import datetime, timedelta

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_secure_sessions import crypto
from django_secure_sessions.models import Session, SessionEvent
from tests.cached import empty_caches
from tests.contract.test_resurrection import lives, opened
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

NAME = django_settings.SESSION_COOKIE_NAME
KEY = crypto.new_session_key()
SHAPES = [
    "",
    "x",
    "short",
    "x" * 40,
    KEY.upper(),
    KEY[:-1],
    KEY + "a",
    KEY[:-1] + ("a" if KEY[-1] != "a" else "b"),
    ("a" if KEY[0] != "a" else "b") + KEY[1:],
    "a" * 10_000,
    "a" * 39 + "\x00",
    "\x00" * 40,
    "é" * 40,
    "\ud800" * 40,
    "' OR 1=1 --".ljust(40, "-"),
    "../../../etc/passwd".ljust(40, "/"),
    "sessions:entry".ljust(40, ":"),
    " " * 40,
    "%00" * 13 + "a",
    '{"a": 1}'.ljust(40),
]


def forgeries(count):
    """Return cookies as an attacker guesses them: most of the right form."""
    chance = random.Random(20260101)  # noqa: S311 - reproducible, not secret
    sizes = [8, 31, 32, 39, 40, 40, 40, 40, 41, 4000]
    return [
        "".join(chance.choices(crypto.ALPHABET, k=chance.choice(sizes)))
        for _ in range(count)
    ]


def hostile(count):
    """Yield Cookie headers of four kinds in turns, each with its kind."""
    chance = random.Random(20260102)  # noqa: S311 - reproducible, not secret
    for number in range(count):
        kind = ("malformed", "oversized", "forged", "unknown")[number % 4]
        key = crypto.new_session_key()
        if kind == "malformed":  # any bytes, as servers hand them on
            key = chance.randbytes(chance.choice([0, 1, 7, 31, 40, 41, 100]))
            key = key.decode("latin-1")
        elif kind == "oversized":
            key *= chance.choice([2, 100, 200, 1000])
        elif kind == "forged":
            key = "".join(chance.choices(crypto.ALPHABET, k=32)) + key[32:]
        yield kind, f"{NAME}={key}"


@pytest.mark.django_db
class TestCookies:
    @pytest.mark.parametrize("cookie", SHAPES, ids=range(len(SHAPES)))
    def test_shape(self, store, cookie):
        """A cookie we never issued is nobody's, and costs no query."""
        with CaptureQueriesContext(connection) as queries:
            session = store(cookie)
            assert dict(session.items()) == {}
            assert session.public_id is None
            assert session.session_key is None

        assert not queries.captured_queries

    def test_ten_thousand(self, visitor):
        """
        10,000 of all kinds, through both handlers: no row, no error, no new cookie.

        Those that the site never issued cost no statement. One of ours without a
        row costs two: it may be the key before a rotation.
        """
        browser, asked, costs = visitor(), [], {}
        cookies = list(hostile(2_000 if browser.asgi else 8_000))

        def count(execute, *args):
            asked.append(1)
            return execute(*args)

        def judge(response, kind):
            assert response.status_code == 200
            assert response.json() == {"user": None, "data": {}}
            assert not any(morsel.value for morsel in response.cookies.values())
            costs.setdefault(kind, Counter())[len(asked)] += 1
            asked.clear()

        async def ask_all(client):  # in one event loop, which saves most of the time
            for kind, header in cookies:
                judge(await client.get("/ashow/", headers={"cookie": header}), kind)

        with connection.execute_wrapper(count):
            if browser.asgi:
                async_to_sync(ask_all)(browser.client)
            else:
                for kind, header in cookies:
                    judge(browser.get("/show/", cookie=header), kind)

        each = len(cookies) // 4
        assert costs == {
            "malformed": {0: each},
            "oversized": {0: each},
            "forged": {0: each},
            "unknown": {2: each},
        }
        assert not Session.objects.exists()
        assert not SessionEvent.objects.exists()

    @pytest.mark.parametrize("every", [False, True])
    def test_pages(self, visitor, settings, every):
        """Pages are served as to a stranger, and the cookie is taken back."""
        settings.SESSION_SAVE_EVERY_REQUEST = every
        browser = visitor()
        for cookie in forgeries(50):
            browser.key = cookie
            with CaptureQueriesContext(connection) as queries:
                response = browser.get("/show/")

            assert response.status_code == 200
            assert response.json() == {"user": None, "data": {}}
            assert not queries.captured_queries
            assert not browser.key

        assert not Session.objects.exists()

    @pytest.mark.parametrize("every", [False, True])
    def test_page_that_does_not_look(self, visitor, settings, every):
        """A page without interest in the session is served to any cookie."""
        settings.SESSION_SAVE_EVERY_REQUEST = every
        browser = visitor()
        browser.key = forgeries(1)[0]

        assert browser.get("/").status_code == 200
        assert not Session.objects.exists()

    def test_genuine_but_gone(self, visitor, store):
        """A key of ours without a row opens nothing and creates nothing."""
        browser = visitor()
        browser.key = crypto.new_session_key()

        assert browser.get("/show/").json() == {"user": None, "data": {}}
        assert not browser.key
        assert not Session.objects.exists()

    def test_empty_key_is_nobody(self, store):
        """After flush() there is no key, and "" is none either."""
        session = opened(store, cart="full")
        session.flush()

        assert session.session_key is None
        assert store("").session_key is None

    def test_one_write_needs_one_row(self, visitor):
        """A forged cookie on a page that writes gets a fresh key of ours."""
        browser = visitor()
        browser.key = forged = "a" * 40
        browser.get("/put/cart/full/")

        assert browser.key != forged
        assert crypto.resolve(browser.key)
        assert Session.objects.count() == 1


USER_AGENTS = ["a\x00b", "\x00" * 600, "x" * 10_000, "\xff\xfe\x80", "a\r\nb\x1b[31m"]


@pytest.mark.parametrize("user_agent", USER_AGENTS, ids=range(len(USER_AGENTS)))
def test_user_agent(visitor, user, user_agent):
    """Whatever a browser calls itself, the login succeeds and the column takes it."""
    browser = visitor()
    browser.get(f"/enter/{user.pk}/", user_agent=user_agent)
    stored = Session.objects.get().user_agent

    assert browser.user == user.pk
    assert len(stored) <= 512
    assert not set(stored) & set("\x00\r\n\x1b")


class TestFilling:
    def test_logout_of_nobody(self, visitor):
        """100 logouts without a login leave no row and set no cookie."""
        browser = visitor()
        for _ in range(50):
            browser.client.cookies.clear()
            assert not browser.post("/logout/").cookies
            browser.key = crypto.new_session_key()
            response = browser.post("/logout/")
            assert not any(morsel.value for morsel in response.cookies.values())

        assert not Session.objects.exists()

    def test_dead_cookies(self, visitor, store, user, clock, settings):
        """100 expired cookies, told why and all, leave no rows either."""
        settings.SECURE_SESSIONS = {"MAX_SESSIONS": None}
        keys = [opened(store, user).session_key for _ in range(100)]
        clock.shift(timedelta(minutes=31))
        for key in keys:
            browser = visitor()
            for page in ("/private/", "/show/"):
                browser.key = key
                browser.get(page)

        assert Session.objects.count() == 100
        assert SessionEvent.objects.filter(kind="idle").count() == 100


EVIL_NAMES = [f"\u2000{NAME}", f"{NAME}\u3000", f"\u00a0{NAME}", f"\x1c{NAME}"]


@pytest.mark.parametrize("handler", ["wsgi", "asgi"])
@pytest.mark.django_db
class TestTossing:
    """A neighbour domain plants a cookie by the name of ours, or nearly so."""

    @pytest.fixture
    def keys(self, visitor, user):
        """Return the victim's key and the attacker's, who logged in too."""
        victim, attacker = visitor(), visitor()
        victim.enter(user)
        attacker.enter(UserFactory())
        return victim.key, attacker.key

    def ask(self, visitor, header, path="/show/"):
        browser = visitor()
        encoded = header.encode().decode("latin-1")  # as servers hand it on
        return browser.get(path, cookie=encoded)

    @pytest.mark.parametrize("evil_first", [True, False])
    @pytest.mark.parametrize("name", [NAME, *EVIL_NAMES])
    def test_twins(self, visitor, keys, name, evil_first):
        """Of two cookies by our name neither is believed, and neither is touched."""
        ours, evil = keys
        pair = [f"{name}={evil}", f"{NAME}={ours}"]
        header = "; ".join(pair if evil_first else pair[::-1])
        response = self.ask(visitor, header)

        assert response.json()["user"] is None
        assert not response.cookies

    @pytest.mark.parametrize("name", EVIL_NAMES)
    def test_disguised_name(self, visitor, keys, name):
        """Alone, too, a name that only nearly is ours stays foreign."""
        response = self.ask(visitor, f"{name}={keys[1]}")

        assert response.json()["user"] is None
        assert not response.cookies

    def test_warning(self, visitor, keys, caplog):
        """The log tells the site that somebody plants cookies, and no key."""
        with caplog.at_level(logging.WARNING, "django_secure_sessions"):
            self.ask(visitor, f"{NAME}={keys[0]}; {NAME}={keys[1]}")

        assert "cookie" in caplog.text
        assert not [key for key in keys if key in caplog.text]

    @pytest.mark.parametrize("other", ["x", f"my{NAME}", f"{NAME}2", f"{NAME}_x"])
    def test_neighbours(self, visitor, keys, user, other):
        """Cookies whose names merely contain ours are no reason for alarm."""
        response = self.ask(visitor, f"{other}=1;{NAME}={keys[0]}; z={NAME}")

        assert response.json()["user"] == user.pk


class TestTamperedRows:
    @pytest.fixture
    def sessions(self, store, user):
        return opened(store, UserFactory(), cart="admin's"), opened(store, user)

    def assert_unusable(self, store, session, caplog):
        with caplog.at_level(logging.ERROR, "django_secure_sessions"):
            assert not lives(store, session.session_key)
        assert str(session.public_id) in caplog.text
        assert session.session_key not in caplog.text
        assert Session.objects.filter(pk=session.public_id).exists()

    def test_flipped_bit(self, store, sessions, caplog):
        """A corrupt payload is one log line and a stranger, never a 500."""
        session = sessions[1]
        row = Session.objects.get(pk=session.public_id)
        data = bytearray(row.data)
        data[-1] ^= 1
        Session.objects.filter(pk=row.pk).update(data=bytes(data))
        empty_caches()

        self.assert_unusable(store, session, caplog)

    @pytest.mark.parametrize("data", [b"", b"x", b"x" * 12, b"x" * 1000])
    def test_rubbish(self, store, sessions, caplog, data):
        """The same for bytes that never were a payload."""
        Session.objects.filter(pk=sessions[1].public_id).update(data=data)
        empty_caches()

        self.assert_unusable(store, sessions[1], caplog)

    def test_swapped_payload(self, store, sessions, caplog):
        """An administrator's payload, copied into one's own row, does not open."""
        admin, own = sessions
        stolen = Session.objects.get(pk=admin.public_id).data
        Session.objects.filter(pk=own.public_id).update(data=bytes(stolen))
        empty_caches()

        self.assert_unusable(store, own, caplog)

    def test_swapped_digest(self, store, sessions, caplog):
        """A row that was given another's digest does not open to the other's key."""
        admin, own = sessions
        digest = Session.objects.get(pk=own.public_id).key_digest
        Session.objects.filter(pk=own.public_id).delete()
        Session.objects.filter(pk=admin.public_id).update(key_digest=digest)
        empty_caches()

        assert not lives(store, own.session_key)

    def test_page(self, visitor, user):
        """The browser with such a session is anonymous, and may log in anew."""
        browser = visitor()
        browser.enter(user)
        Session.objects.update(data=b"rubbish")
        empty_caches()

        assert browser.user is None
        browser.enter(user)
        assert browser.user == user.pk


@pytest.mark.parametrize("engine", ["db"], indirect=True)
@pytest.mark.django_db
class TestExpiry:
    FOREVER = 10**12

    @pytest.mark.parametrize(
        "value",
        [
            FOREVER,
            float(FOREVER),
            1e300,
            10**400,
            timedelta.max,
            timedelta(days=100_000),
            datetime(9999, 12, 31),  # noqa: DTZ001 - naive on purpose
            datetime.max.replace(tzinfo=timezone.get_fixed_timezone(0)),
        ],
        ids=str,
    )
    def test_far_future(self, store, value, call):
        """A life beyond all measure is cut to the 400 days of a cookie."""
        session = store()
        call(session, "set_expiry", value)
        call(session, "save")
        longest = timezone.now() + timedelta(days=400)

        assert abs(Session.objects.get().expires_at - longest) < timedelta(minutes=1)
        assert lives(store, session.session_key)
        assert session.get_expiry_age() <= timedelta(days=400).total_seconds()

    @pytest.mark.parametrize(
        "value",
        [
            -1,
            -FOREVER,
            -(10**400),
            timedelta.min,
            timedelta(seconds=-1),
            datetime(1970, 1, 1),  # noqa: DTZ001 - naive on purpose
            datetime.min.replace(tzinfo=timezone.get_fixed_timezone(0)),
        ],
        ids=str,
    )
    def test_past(self, store, value, call):
        """A life that is over when it begins is stored, and over."""
        session = store()
        call(session, "set_expiry", value)
        call(session, "save")

        assert not lives(store, session.session_key)

    @pytest.mark.parametrize("days", [1, 365])
    def test_authenticated_life_stays_bounded(self, store, user, clock, call, days):
        """A long life in the cookie does not move the absolute limit."""
        session = opened(store, user)
        call(session, "set_expiry", timedelta(days=days))
        call(session, "save")
        for _ in range(60):
            clock.shift(timedelta(minutes=15))
            late = store(session.session_key)
            late.items()
            late.touch()

        assert late.public_id is None

    def test_shorter_life_is_respected(self, store, user, clock, call):
        """A site may end a session sooner than the timeouts would."""
        session = opened(store, user)
        call(session, "set_expiry", 60)
        call(session, "save")
        clock.shift(61)

        assert not lives(store, session.session_key)
