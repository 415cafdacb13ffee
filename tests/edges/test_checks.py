"""System checks: each wrong setting is named, with the mend, and none that is right."""

from __future__ import annotations

import pickle
import re
import sys
import zlib
from contextlib import contextmanager
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import django
import pytest
from django.contrib.sessions.serializers import JSONSerializer
from django.core import checks as django_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection

from django_secure_sessions import checks, receivers
from django_secure_sessions.checks import surroundings
from django_secure_sessions.checks.kinds import KINDS
from django_secure_sessions.conf import DEFAULTS
from django_secure_sessions.mfa import factors
from django_secure_sessions.middleware import SecureSessionMiddleware

OURS = "django_secure_sessions.middleware.SecureSessionMiddleware"
DJANGOS = "django.contrib.sessions.middleware.SessionMiddleware"
DJANGOS_ENGINES = "django.contrib.sessions.backends"
AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
CACHING = "django.middleware.cache.UpdateCacheMiddleware"
MINUTES, DAYS = timedelta(minutes=1), timedelta(days=1)

# A site that has done everything right.
HARDENED = {
    "SESSION_COOKIE_SECURE": True,
    "SESSION_COOKIE_NAME": "__Host-sessionid",
}


class OwnMiddleware(SecureSessionMiddleware):
    """A project's extension of ours."""


class PicklingSerializer:
    """Does what Django's own did before it was removed."""

    protocol = 4

    def dumps(self, data):
        return pickle.dumps(data, self.protocol)

    def loads(self, data):
        return pickle.loads(data)  # noqa: S301 - what the check is to find


class TextPicklingSerializer(PicklingSerializer):
    protocol = 0


class CompressingSerializer(PicklingSerializer):
    def dumps(self, data):
        return zlib.compress(super().dumps(data))

    def loads(self, data):
        return super().loads(zlib.decompress(data))


class SignedPicklingSerializer(PicklingSerializer):
    """Opens no pickle but its own."""

    def loads(self, data):
        raise ValueError("not signed")


class LateSerializer(JSONSerializer):
    """Writes JSON, and still opens what it wrote in former days."""

    def loads(self, data):
        try:
            return super().loads(data)
        except ValueError:
            return pickle.loads(data)  # noqa: S301 - what the check is to find


class ObjectSerializer:
    """Pickles objects of its own, which carry the data."""

    def dumps(self, data):
        return pickle.dumps(Fraction(1, 3))

    def loads(self, data):
        return {}


class CompressedJSONSerializer(JSONSerializer):
    def dumps(self, data):
        return zlib.compress(super().dumps(data))

    def loads(self, data):
        return super().loads(zlib.decompress(data))


def some_function(user):
    """A function for settings that name one."""


class SessionStore:
    """Bears the name, and follows no contract."""


@contextmanager
def fresh_import(name):
    """Have a module imported anew, as in a process that has not done it yet."""
    known = sys.modules.pop(name)
    try:
        yield
    finally:
        sys.modules[name] = known


def found(settings, *, at_deployment=False, **changed):
    """Return what our checks say under changed settings, by id."""
    for name, value in changed.items():
        setattr(settings, name, value)
    messages = django_checks.run_checks(
        tags=[django_checks.Tags.security], include_deployment_checks=at_deployment
    )
    return {
        message.id: message
        for message in messages
        if message.id.startswith("secure_sessions.")
    }


def ids(settings, **changed):
    """Return the short ids of what our checks say."""
    return {name.rpartition(".")[2] for name in found(settings, **changed)}


class TestSilence:
    def test_defaults_pass(self, settings):
        """A site that sets nothing of ours has nothing to mend."""
        assert found(settings) == {}

    @pytest.mark.django_db
    def test_they_are_part_of_manage_check(self, settings):
        """The command that every deployment runs tells of our findings."""
        settings.SECURE_SESSIONS = {"MAX_SESSION": 3}

        with pytest.raises(SystemCheckError, match=r"secure_sessions\.E002"):
            call_command("check")

    def test_hardened_site_passes_deployment(self, settings):
        """Every deployment warning can be mended."""
        assert found(settings, at_deployment=True, **HARDENED) == {}

    def test_all_defaults_are_allowed_values(self, settings):
        """What the package does by itself is among what it accepts."""
        # Who writes down the header means to be behind a proxy.
        chosen = {**DEFAULTS, "TRUSTED_PROXIES": 1}

        assert found(settings, SECURE_SESSIONS=chosen) == {}

    def test_every_setting_is_judged(self):
        """A new setting can't be added without saying what it may hold."""
        assert KINDS.keys() == DEFAULTS.keys()


class TestStart:
    """What can't start a site must still be told, so it must not stop the check."""

    def test_engine_that_does_not_exist(self, settings):
        """A typo in SESSION_ENGINE leaves the app ready, and E004 to say so."""
        settings.SESSION_ENGINE = "django_secure_sessions.backends.database"
        receivers.connect()

        assert "E004" in ids(settings)


class TestIds:
    def test_no_id_means_two_things(self):
        """An id is written once in the code of the checks."""
        folder = Path(checks.__file__).parent
        code = "".join(path.read_text() for path in folder.glob("*.py"))
        written = re.findall(r'id="secure_sessions\.(\w+)"', code)

        assert len(written) == len(set(written))
        assert len(written) > 20


class TestValues:
    def test_settings_must_be_a_dict(self, settings):
        """A list is refused, and no check stumbles over it."""
        messages = found(settings, at_deployment=True, SECURE_SESSIONS=["MAX_SESSIONS"])

        message = messages["secure_sessions.E001"]
        assert message.msg == "SECURE_SESSIONS must be a dict, not list."

    @pytest.mark.parametrize(
        ("key", "hint"),
        [
            ("MAX_SESSION", "Did you mean 'MAX_SESSIONS'?"),
            ("idle_timeout", "Did you mean 'IDLE_TIMEOUT'?"),
            ("ROTATE_GRACE", "Did you mean 'ROTATION_GRACE'?"),
            ("XYZ", "Remove it."),
            (7, "Remove it."),
        ],
    )
    def test_misspelt_key_is_told_with_the_right_one(self, settings, key, hint):
        """A key of no setting would silently leave the default in force."""
        message = found(settings, SECURE_SESSIONS={key: 1})["secure_sessions.E002"]

        assert repr(key) in message.msg
        assert message.hint == hint

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("MAX_SESSIONS", 0),
            ("MAX_SESSIONS", "3"),
            ("MAX_SESSIONS", True),
            ("LIMIT_STRATEGY", "evict"),
            ("LIMIT_STRATEGY", None),
            ("PRESET", "nist_aal4"),
            ("PRESET", ["nist_aal1"]),
            ("IDLE_TIMEOUT", "30m"),
            ("IDLE_TIMEOUT", 0),
            ("IDLE_TIMEOUT", True),
            ("ABSOLUTE_TIMEOUT", -timedelta(hours=1)),
            ("ABSOLUTE_TIMEOUT", float("nan")),
            ("ABSOLUTE_TIMEOUT", 10**20),
            ("TOUCH_INTERVAL", None),
            ("HISTORY", None),
            ("PASSIVE_HEADER", "X Passive"),
            ("PASSIVE_VIEWS", "poll"),
            ("PASSIVE_VIEWS", [print]),
            ("TRUSTED_PROXIES", -1),
            ("TRUSTED_PROXIES", "10.0.0.0/33"),
            ("TRUSTED_PROXIES", ["10.0.0.0/8", "proxy.example"]),
            ("TRUSTED_PROXIES", 1.5),
            ("CLIENT_IP", "tests.no_such_module.function"),
            ("CLIENT_IP", "tests.edges.test_checks.no_such_function"),
            ("IP_PRIVACY", "hash"),
            ("BINDING", True),
            ("ON_PASSWORD_CHANGE", "end"),
            ("ON_DEACTIVATE", "end_others"),
            ("RULES_FOR", "tests.edges.test_checks.OURS"),
            ("IMPERSONATION", "impersonator"),
            ("ROLES", None),
            ("ROLES", 7),
            ("API_PREFIXES", "/api/"),
            ("API_PREFIXES", ["/api/", "v2/"]),
            ("MFA_REQUIRED_FOR", "tests.edges.test_checks.no_such_function"),
            ("MFA_REQUIRED_FOR", [1]),
            ("MFA_PENDING_TRIES", 0),
            ("TOUCH_STORE", "redis"),
            ("PREVIOUS_ENGINE", 1),
        ],
    )
    def test_wrong_value_is_named(self, settings, key, value):
        """The message names the setting, and says what it may hold."""
        messages = found(settings, SECURE_SESSIONS={key: value})

        assert set(messages) == {"secure_sessions.E003"}
        message = messages["secure_sessions.E003"]
        assert message.msg.startswith(f"SECURE_SESSIONS['{key}'] ")
        assert message.hint == f"The default is {DEFAULTS[key]!r}."

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("MAX_SESSIONS", None),
            ("IDLE_TIMEOUT", None),
            ("IDLE_TIMEOUT", 900),
            ("IDLE_TIMEOUT", 90.5),
            ("EVENT_RETENTION", None),
            ("PASSIVE_HEADER", ""),
            ("PASSIVE_VIEWS", {"poll", "chat:poll"}),
            ("TRUSTED_PROXIES", 0),
            ("TRUSTED_PROXIES", "10.0.0.0/8"),
            ("TRUSTED_PROXIES", ["10.1.2.3", "fd00::/8"]),
            ("RULES_FOR", some_function),
            ("ROLES", "tests.edges.test_checks.some_function"),
            ("IMPERSONATION", None),
            ("API_PREFIXES", ["/api/"]),
            ("MFA_REQUIRED_FOR", "staff"),
            ("MFA_REQUIRED_FOR", ["Editors"]),
            ("MFA_REQUIRED_FOR", some_function),
        ],
    )
    def test_every_form_of_a_right_value_passes(self, settings, key, value):
        """Whatever the reference allows is accepted."""
        assert found(settings, SECURE_SESSIONS={key: value}) == {}


class TestPreset:
    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("IDLE_TIMEOUT", 16 * MINUTES),
            ("IDLE_TIMEOUT", None),
            ("ABSOLUTE_TIMEOUT", DAYS),
        ],
    )
    def test_longer_than_the_preset_is_told(self, settings, key, value):
        """A timeout that breaks the level the site claims is named."""
        chosen = {"PRESET": "nist_aal3", key: value}

        message = found(settings, SECURE_SESSIONS=chosen)["secure_sessions.W101"]

        assert message.msg.startswith(f"SECURE_SESSIONS['{key}'] is longer than ")

    @pytest.mark.parametrize(
        "chosen",
        [
            {"PRESET": "nist_aal3", "IDLE_TIMEOUT": 15 * MINUTES},
            {"PRESET": "nist_aal1", "IDLE_TIMEOUT": None},
            {"PRESET": "nist_aal1", "ABSOLUTE_TIMEOUT": 30 * DAYS},
            {"IDLE_TIMEOUT": None, "ABSOLUTE_TIMEOUT": None},
        ],
    )
    def test_within_the_preset_passes(self, settings, chosen):
        """A timeout as long as the preset's, or shorter, is the site's choice."""
        assert ids(settings, SECURE_SESSIONS=chosen) == set()


class TestWiring:
    @pytest.mark.parametrize(
        "engine",
        [
            "django.contrib.sessions.backends.db",
            "django.contrib.sessions.backends.signed_cookies",
            "no.such.engine",
            "django_secure_sessions.conf",
        ],
    )
    def test_foreign_engine_is_an_error(self, settings, engine):
        """Under another engine nothing of ours works, and nothing else says so."""
        assert ids(settings, SESSION_ENGINE=engine) == {"E004"}

    @pytest.mark.parametrize(
        ("path", "problem"),
        [
            (f"{DJANGOS_ENGINES}.database", "can't be used: ModuleNotFoundError"),
            ("django_secure_sessions.conf", "can't be used: AttributeError"),
            (__name__, "has no SessionStore that derives from SessionBase"),
            ("django_secure_sessions.backends.db", "is an engine of this package"),
            (f"{DJANGOS_ENGINES}.signed_cookies", "keeps nothing on the server"),
        ],
    )
    def test_previous_engine_that_cannot_be_is_an_error(self, settings, path, problem):
        """What sessions can't be taken over from is named, and says why."""
        messages = found(settings, SECURE_SESSIONS={"PREVIOUS_ENGINE": path})

        assert set(messages) == {"secure_sessions.E014"}
        assert f"{path!r} {problem}" in messages["secure_sessions.E014"].msg

    def test_previous_engine_without_its_app_is_an_error(self, settings):
        """Its table has no model once its app is gone."""
        apps = [name for name in settings.INSTALLED_APPS if "contrib.s" not in name]
        chosen = {"PREVIOUS_ENGINE": f"{DJANGOS_ENGINES}.db"}
        changed = {"INSTALLED_APPS": apps, "SECURE_SESSIONS": chosen}
        # Imported under the app, the model stays usable: so ask a fresh module.
        with fresh_import("django.contrib.sessions.models"):
            messages = found(settings, **changed)

        assert "INSTALLED_APPS" in messages["secure_sessions.E014"].msg

    @pytest.mark.parametrize(
        ("engine", "expected"), [("db", set()), ("cached_db", {"E014"})]
    )
    def test_previous_engine_in_the_cache_of_ours(self, settings, engine, expected):
        """Django's put objects where ours takes bytes, if ours has a cache."""
        settings.SESSION_ENGINE = f"django_secure_sessions.backends.{engine}"
        chosen = {"PREVIOUS_ENGINE": f"{DJANGOS_ENGINES}.cache"}

        assert ids(settings, SECURE_SESSIONS=chosen) == expected

    def test_previous_engine_is_for_a_time(self, settings):
        """It passes, and deployment tells when to take it out."""
        chosen = {"PREVIOUS_ENGINE": f"{DJANGOS_ENGINES}.db"}
        changed = {**HARDENED, "SECURE_SESSIONS": chosen}

        assert ids(settings, **changed) == set()
        message = found(settings, at_deployment=True)["secure_sessions.W114"]
        assert message.hint.startswith("Take it out 14 days after")

    def test_absent_middleware_is_an_error(self, settings):
        """Without our middleware no request has a session of ours."""
        assert ids(settings, MIDDLEWARE=[AUTHENTICATION]) == {"E005"}
        assert ids(settings, MIDDLEWARE=[DJANGOS, AUTHENTICATION]) == {"E005"}

    def test_second_session_middleware_is_an_error(self, settings):
        """Django's own beside ours would replace ours, or be replaced."""
        both = [DJANGOS, OURS, AUTHENTICATION]

        assert ids(settings, MIDDLEWARE=both) == {"E006"}

    def test_order_with_authentication(self, settings):
        """request.user needs request.session."""
        assert ids(settings, MIDDLEWARE=[AUTHENTICATION, OURS]) == {"E007"}

    def test_order_with_the_page_cache(self, settings):
        """A page cache inside the session middleware would mix visitors up."""
        inside = [OURS, CACHING, AUTHENTICATION]
        outside = [CACHING, OURS, AUTHENTICATION]

        assert ids(settings, MIDDLEWARE=inside) == {"E008"}
        assert ids(settings, MIDDLEWARE=outside) == set()

    def test_broken_entry_is_left_to_django(self, settings):
        """A middleware that can't be imported breaks no check."""
        broken = ["no.such.Middleware", OURS, AUTHENTICATION]

        assert ids(settings, MIDDLEWARE=broken) == set()

    def test_subclass_of_our_middleware_counts(self, settings):
        """A project may extend the middleware."""
        own = [f"{__name__}.OwnMiddleware", AUTHENTICATION]

        assert ids(settings, MIDDLEWARE=own) == set()

    @pytest.mark.parametrize("name", ["__host-sessionid", "__HOST-x", "__secure-x"])
    def test_misspelt_prefix_is_an_error(self, settings, name):
        """A prefix in the wrong case protects only in some browsers."""
        changed = {"SESSION_COOKIE_NAME": name, "SESSION_COOKIE_SECURE": True}

        assert ids(settings, **changed) == {"E009"}

    @pytest.mark.parametrize(
        ("changed", "mend"),
        [
            ({"SESSION_COOKIE_SECURE": False}, "SESSION_COOKIE_SECURE = True"),
            ({"SESSION_COOKIE_PATH": "/app"}, "SESSION_COOKIE_PATH = '/'"),
            (
                {"SESSION_COOKIE_DOMAIN": "example.com"},
                "SESSION_COOKIE_DOMAIN = None",
            ),
        ],
    )
    def test_prefix_that_browsers_refuse_is_an_error(self, settings, changed, mend):
        """A __Host- cookie without its conditions is never stored: no login works."""
        messages = found(settings, **{**HARDENED, **changed})

        assert messages["secure_sessions.E010"].hint == f"Set {mend}."

    def test_secure_prefix_needs_less(self, settings):
        """A __Secure- cookie may have a path and a domain."""
        changed = {
            "SESSION_COOKIE_NAME": "__Secure-sessionid",
            "SESSION_COOKIE_SECURE": True,
            "SESSION_COOKIE_DOMAIN": "example.com",
        }

        assert ids(settings, **changed) == set()

    def test_saving_every_request_is_told(self, settings):
        """What the touch does in one column, this does in a row and a cookie."""
        assert ids(settings, SESSION_SAVE_EVERY_REQUEST=True) == {"W102"}

    @pytest.mark.parametrize(
        "name",
        [
            "PicklingSerializer",
            "TextPicklingSerializer",
            "CompressingSerializer",
            "SignedPicklingSerializer",
            "LateSerializer",
            "ObjectSerializer",
            "NoSuchSerializer",
        ],
    )
    def test_serializer_that_pickles_or_breaks_is_an_error(self, settings, name):
        """Session data must never be a program, in whatever wrapping."""
        path = f"{__name__}.{name}"

        assert ids(settings, SESSION_SERIALIZER=path) == {"E011"}

    def test_serializer_of_plain_data_passes(self, settings):
        """Compression alone is no fault."""
        path = f"{__name__}.CompressedJSONSerializer"

        assert ids(settings, SESSION_SERIALIZER=path) == set()


class TestDeployment:
    @pytest.mark.parametrize(
        ("changed", "expected"),
        [
            ({"SESSION_COOKIE_SECURE": False}, {"W103", "E010"}),
            ({"SESSION_COOKIE_HTTPONLY": False}, {"W104"}),
            ({"SESSION_COOKIE_SAMESITE": "None"}, {"W105"}),
            ({"SESSION_COOKIE_SAMESITE": None}, {"W105"}),
            ({"SESSION_COOKIE_SAMESITE": "Strict"}, set()),
            ({"SESSION_COOKIE_NAME": "sessionid"}, {"W107"}),
            (
                {
                    "SESSION_COOKIE_NAME": "sessionid",
                    "SESSION_COOKIE_DOMAIN": ".example.com",
                },
                {"W106"},
            ),
        ],
    )
    def test_cookie(self, settings, changed, expected):
        """Each attribute that a hardened cookie lacks has its own warning."""
        changed = {**HARDENED, **changed}

        assert ids(settings, at_deployment=True, **changed) == expected

    def test_cookie_of_a_developer_is_left_alone(self, settings):
        """Without --deploy, plain HTTP on one's own machine is no finding."""
        assert found(settings, SESSION_COOKIE_SECURE=False) == {}

    @pytest.mark.parametrize(
        ("changed", "named"),
        [
            (
                {"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")},
                "SECURE_PROXY_SSL_HEADER",
            ),
            ({"USE_X_FORWARDED_HOST": True}, "USE_X_FORWARDED_HOST"),
            ({"USE_X_FORWARDED_PORT": True}, "USE_X_FORWARDED_PORT"),
            (
                {"SECURE_SESSIONS": {"CLIENT_IP_HEADER": "X-Real-IP"}},
                "SECURE_SESSIONS['CLIENT_IP_HEADER']",
            ),
        ],
    )
    def test_proxy_that_nobody_trusts(self, settings, changed, named):
        """A site behind a proxy would record the proxy as everybody's address."""
        messages = found(settings, at_deployment=True, **HARDENED, **changed)

        assert messages["secure_sessions.W108"].msg.startswith(f"{named} speaks of")

    @pytest.mark.parametrize(
        "chosen", [{"TRUSTED_PROXIES": 1}, {"CLIENT_IP": some_function}]
    )
    def test_trusted_proxy_is_fine(self, settings, chosen):
        """Saying how many proxies there are, or reading the address, settles it."""
        changed = {**HARDENED, "USE_X_FORWARDED_HOST": True, "SECURE_SESSIONS": chosen}

        assert ids(settings, at_deployment=True, **changed) == set()

    @pytest.mark.vendor("sqlite")
    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({}, {"W109"}),
            ({"transaction_mode": "DEFERRED"}, {"W109"}),
            ({"transaction_mode": "immediate"}, set()),
            ({"transaction_mode": "EXCLUSIVE"}, set()),
        ],
    )
    def test_sqlite_that_does_not_wait(self, settings, monkeypatch, options, expected):
        """Without IMMEDIATE, SQLite fails a parallel login instead of queueing it."""
        monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)

        assert ids(settings, at_deployment=True, **HARDENED) == expected

    @pytest.mark.vendor("sqlite")
    def test_sqlite_in_memory_has_nobody_to_wait_for(self, settings, monkeypatch):
        """What a test runner makes is no finding."""
        in_memory = {"NAME": "file:memorydb?mode=memory&cache=shared", "OPTIONS": {}}
        for key, value in in_memory.items():
            monkeypatch.setitem(connection.settings_dict, key, value)

        assert ids(settings) == set()

    @pytest.mark.parametrize(
        ("version", "expected"),
        [
            ((5, 2, 18, "final", 0), {"W110"}),
            ((6, 1, 0, "rc", 1), {"W110"}),
            ((5, 2, 19, "final", 0), set()),
            ((6, 1, 4, "final", 0), set()),
            # A line from after this release: nothing is known against it.
            ((7, 0, 0, "final", 0), set()),
        ],
    )
    def test_django_without_its_fixes(self, settings, monkeypatch, version, expected):
        """A Django that lacks security fixes is told, with the release to install."""
        monkeypatch.setattr(django, "VERSION", version)

        messages = found(settings, at_deployment=True, **HARDENED)

        assert {name.rpartition(".")[2] for name in messages} == expected
        if messages:
            wanted = ".".join(map(str, surroundings.PATCHED[version[:2]]))
            assert messages["secure_sessions.W110"].hint == (
                f"Install Django {wanted} or newer."
            )


class TestHardlyMeant:
    def test_idle_beyond_absolute(self, settings):
        """W111 names both timeouts, also where one is the default."""
        days = {"IDLE_TIMEOUT": 2 * DAYS}
        message = found(settings, SECURE_SESSIONS=days)["secure_sessions.W111"]

        assert "IDLE_TIMEOUT" in message.msg
        assert "ABSOLUTE_TIMEOUT" in message.msg
        assert "None" in message.hint
        assert (
            ids(settings, SECURE_SESSIONS={**days, "ABSOLUTE_TIMEOUT": None}) == set()
        )

    @pytest.mark.parametrize("key", ["IDLE_TIMEOUT", "ABSOLUTE_TIMEOUT"])
    def test_seconds_for_minutes(self, settings, key):
        """W112 tells what a bare number means, and writes what was meant."""
        message = found(settings, SECURE_SESSIONS={key: 30})["secure_sessions.W112"]

        assert key in message.msg
        assert "timedelta(minutes=30)" in message.hint

    @pytest.mark.parametrize("name", ["SECURE_SESSION", "SECURED_SESSIONS"])
    def test_misspelt_dict(self, settings, name):
        """W113 names the dict that nobody reads."""
        message = found(settings, **{name: {"MAX_SESSIONS": 1}})["secure_sessions.W113"]

        assert name in message.msg
        assert "SECURE_SESSIONS" in message.hint


class TestEnrolment:
    """A second factor that is demanded can be set up."""

    NEEDED = {"MFA_REQUIRED_FOR": "staff"}

    def test_site_that_has_it_all(self, settings):
        """With the extra installed and the pages included there is nothing to say."""
        assert ids(settings, SECURE_SESSIONS=self.NEEDED) == set()

    def test_packages(self, settings, monkeypatch):
        """E301 names the extra that is not installed."""
        monkeypatch.setattr(
            factors, "LIBRARIES", dict.fromkeys(factors.LIBRARIES, ("no_such_package",))
        )
        message = found(settings, SECURE_SESSIONS=self.NEEDED)["secure_sessions.E301"]

        assert "MFA_REQUIRED_FOR" in message.msg
        assert "[mfa]" in message.hint

    def test_pages(self, settings):
        """E302 names the line that the project's addresses lack."""
        settings.ROOT_URLCONF = ()
        message = found(settings, SECURE_SESSIONS=self.NEEDED)["secure_sessions.E302"]

        assert "MFA_REQUIRED_FOR" in message.msg
        assert "include('django_secure_sessions.urls')" in message.hint

    def test_nobody_needs_one(self, settings):
        """A site that demands none may leave the pages out."""
        assert ids(settings, ROOT_URLCONF=()) == set()
