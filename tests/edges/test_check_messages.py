"""Every finding that the reference lists: provoked, and read for its mend."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import django
import pytest
from django.db import connection

from tests.cached import ENGINE, LOCMEM
from tests.edges.test_checks import AUTHENTICATION, CACHING, DJANGOS, OURS, found

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "checks.rst"
BYTES = "django_secure_sessions.contrib.redis.BytesSerializer"
QUICK = {"SOCKET_TIMEOUT": 0.3, "SOCKET_CONNECT_TIMEOUT": 0.3}
DB = "django_secure_sessions.backends.db"
DUMMY = "django.core.cache.backends.dummy.DummyCache"


class Fault(NamedTuple):
    """Settings that are wrong, the setting to be named, and the mend to be given."""

    changed: dict
    named: str
    mend: str


class Apart:
    """A router that keeps the audit trail in a database of its own."""

    def db_for_write(self, model, **hints):
        return "audit" if model._meta.model_name == "sessionevent" else None


# For E013 and E302: a site without our addresses, or any.
urlpatterns: list[object] = []


def ours(**chosen):
    return {"SECURE_SESSIONS": chosen}


def cached(backend="django_redis.cache.RedisCache", **entry):
    """Settings of a site whose sessions have this cache in front."""
    entry = {"LOCATION": "redis://127.0.0.1:6379/9", **entry}
    sessions = {"BACKEND": backend, **entry}
    return {
        "SESSION_ENGINE": ENGINE,
        "SESSION_CACHE_ALIAS": "sessions",
        "CACHES": {"default": LOCMEM, "sessions": sessions},
    }


def shared():
    changed = cached(OPTIONS={"SERIALIZER": BYTES, **QUICK})
    caches = changed["CACHES"]
    return {**changed, "CACHES": {**caches, "pages": caches["sessions"]}}


FAULTS = {
    "E001": Fault({"SECURE_SESSIONS": 3}, "SECURE_SESSIONS", "SECURE_SESSIONS = {"),
    "E002": Fault(ours(MAX_SESSION=3), "'MAX_SESSION'", "'MAX_SESSIONS'"),
    "E003": Fault(ours(MAX_SESSIONS="3"), "'MAX_SESSIONS'", "default is 3"),
    "E004": Fault({"SESSION_ENGINE": "no.engine"}, "SESSION_ENGINE", f"'{DB}'"),
    "E005": Fault({"MIDDLEWARE": [DJANGOS]}, "MIDDLEWARE", f"in place of '{DJANGOS}'"),
    "E006": Fault({"MIDDLEWARE": [OURS, DJANGOS]}, "MIDDLEWARE", f"Keep '{OURS}'"),
    "E007": Fault({"MIDDLEWARE": [AUTHENTICATION, OURS]}, "MIDDLEWARE", "Move it"),
    "E008": Fault({"MIDDLEWARE": [OURS, CACHING]}, "MIDDLEWARE", "to the top"),
    "E009": Fault(
        {"SESSION_COOKIE_NAME": "__host-id"}, "SESSION_COOKIE_NAME", "'__Host-'"
    ),
    "E010": Fault(
        {"SESSION_COOKIE_NAME": "__Host-id"},
        "__Host-id",
        "SESSION_COOKIE_SECURE = True",
    ),
    "E011": Fault(
        {"SESSION_SERIALIZER": "no.Serializer"}, "SESSION_SERIALIZER", "JSONSerializer'"
    ),
    "E012": Fault(
        {"DATABASE_ROUTERS": [f"{__name__}.Apart"]},
        "DATABASE_ROUTERS",
        "'django_secure_sessions' to the database of AUTH_USER_MODEL, 'default'",
    ),
    "E013": Fault(
        {**ours(LIMIT_STRATEGY="ask"), "ROOT_URLCONF": __name__},
        "SECURE_SESSIONS['LIMIT_STRATEGY']",
        "include('django_secure_sessions.urls')",
    ),
    "E014": Fault(ours(PREVIOUS_ENGINE=DB), "'PREVIOUS_ENGINE'", "Name what SESSION_E"),
    "E201": Fault(
        {**cached(), "SESSION_CACHE_ALIAS": "none"},
        "SESSION_CACHE_ALIAS",
        "SESSION_CACHE_ALIAS = 'sessions'",
    ),
    "E202": Fault(cached(), "CACHES['sessions']", f"OPTIONS['SERIALIZER'] = '{BYTES}'"),
    "E301": Fault(
        ours(MFA_REQUIRED_FOR="staff"),
        "SECURE_SESSIONS['MFA_REQUIRED_FOR']",
        "pip install 'django-secure-sessions[mfa]'",
    ),
    "E302": Fault(
        {**ours(MFA_REQUIRED_FOR="staff"), "ROOT_URLCONF": __name__},
        "SECURE_SESSIONS['MFA_REQUIRED_FOR']",
        "include('django_secure_sessions.urls')",
    ),
    "W101": Fault(
        ours(PRESET="nist_aal3", IDLE_TIMEOUT=1800), "'IDLE_TIMEOUT'", "Shorten"
    ),
    "W102": Fault(
        {"SESSION_SAVE_EVERY_REQUEST": True},
        "SESSION_SAVE_EVERY_REQUEST",
        "Set it to False",
    ),
    "W103": Fault(
        {"SESSION_COOKIE_SECURE": False},
        "session cookie",
        "SESSION_COOKIE_SECURE = True",
    ),
    "W104": Fault(
        {"SESSION_COOKIE_HTTPONLY": False},
        "session cookie",
        "SESSION_COOKIE_HTTPONLY = True",
    ),
    "W105": Fault(
        {"SESSION_COOKIE_SAMESITE": None},
        "session cookie",
        "SESSION_COOKIE_SAMESITE = 'Lax'",
    ),
    "W106": Fault(
        {"SESSION_COOKIE_DOMAIN": "a.example"},
        "'a.example'",
        "SESSION_COOKIE_DOMAIN = None",
    ),
    "W107": Fault(
        {"SESSION_COOKIE_NAME": "id"},
        "session cookie",
        "SESSION_COOKIE_NAME = '__Host-id'",
    ),
    "W108": Fault(
        {"USE_X_FORWARDED_HOST": True},
        "USE_X_FORWARDED_HOST",
        "Set SECURE_SESSIONS['TRUSTED_PROXIES']",
    ),
    "W109": Fault(
        {},
        "SQLite",
        "DATABASES['default']['OPTIONS'] = {'transaction_mode': 'IMMEDIATE'}",
    ),
    "W110": Fault({}, "Django", "Install Django 5.2.19 or newer"),
    "W111": Fault(ours(IDLE_TIMEOUT=90_000), "'IDLE_TIMEOUT'", "Shorten IDLE_TIMEOUT"),
    "W112": Fault(ours(IDLE_TIMEOUT=30), "'IDLE_TIMEOUT'", "timedelta(minutes=30)"),
    "W113": Fault({"SECURE_SESSION": {}}, "SECURE_SESSION ", "SECURE_SESSIONS?"),
    "W114": Fault(
        ours(PREVIOUS_ENGINE="django.contrib.sessions.backends.db"),
        "'PREVIOUS_ENGINE'",
        "Take it out 14 days after",
    ),
    "W201": Fault(cached(DUMMY), "CACHES['sessions']", f"SESSION_ENGINE = '{DB}'"),
    "W202": Fault(
        cached(LOCMEM["BACKEND"], LOCATION="own"), "CACHES['sessions']", "Use Redis"
    ),
    "W203": Fault(shared(), "CACHES['sessions']", "a server of its own"),
    "W204": Fault(
        cached(OPTIONS={"SERIALIZER": BYTES}),
        "CACHES['sessions']",
        "SOCKET_TIMEOUT and SOCKET_CONNECT_TIMEOUT",
    ),
    "W205": Fault(
        cached(
            "django.core.cache.backends.redis.RedisCache",
            LOCATION=["redis://a", "redis://b"],
            OPTIONS={"serializer": BYTES},
        ),
        "CACHES['sessions']",
        "One LOCATION",
    ),
    "W206": Fault(
        ours(TOUCH_STORE="cache"), "TOUCH_STORE", f"SESSION_ENGINE = '{ENGINE}'"
    ),
}
# What a desk is fine with: see checks/__init__.py.
AT_DEPLOYMENT = {
    *("W103", "W104", "W105", "W106", "W107", "W114"),
    *("W202", "W203", "W204", "W205"),
}


@pytest.fixture
def _provoked(request, name, monkeypatch):
    """What no setting can provoke: an old Django, a bare SQLite, no packages."""
    if name == "W109":
        if connection.vendor != "sqlite":
            pytest.skip("for sqlite")
        monkeypatch.setitem(connection.settings_dict, "OPTIONS", {})
    elif name == "W110":
        monkeypatch.setattr(django, "VERSION", (5, 2, 18, "final", 0))
    elif name == "E301":
        monkeypatch.setattr(
            "django_secure_sessions.checks.enrolment.can_be_added", lambda kind: False
        )


@pytest.mark.usefixtures("_provoked")
@pytest.mark.parametrize("name", FAULTS)
def test_finding_names_the_setting_and_the_mend(settings, name):
    """Whoever reads the finding knows what to change, and to what."""
    fault, key = FAULTS[name], f"secure_sessions.{name}"
    at_desk = found(settings, **fault.changed)
    message = found(settings, at_deployment=True)[key]

    assert fault.named in f"{message.msg} {message.hint}"
    assert fault.mend in message.hint
    assert (key in at_desk) is (name not in AT_DEPLOYMENT)


def test_every_documented_finding_is_provoked():
    """The table above is that of the reference."""
    documented = re.findall(r"``([EW]\d{3})``", REFERENCE.read_text())

    assert FAULTS.keys() == set(documented)
