"""What sites write and read: names that must not drift apart."""

from __future__ import annotations

import ast
import inspect
import re
from collections import Counter
from pathlib import Path

import pytest
from django.apps import apps

import django_secure_sessions
from django_secure_sessions import answers, decorators, lifecycle, signals
from django_secure_sessions.backends.base import TrackedSession
from django_secure_sessions.conf import DEFAULTS
from django_secure_sessions.http import SecureSession
from django_secure_sessions.mfa import devices
from django_secure_sessions.state import EndReason, EventKind

ROOT = Path(django_secure_sessions.__file__).parent
REFERENCE = ROOT.parent / "docs" / "reference"
SOURCES = "\n".join(path.read_text() for path in sorted(ROOT.rglob("*.py")))


def documented(name):
    return (REFERENCE / f"{name}.rst").read_text()


@pytest.mark.parametrize("name", DEFAULTS)
def test_setting_is_documented(name):
    """Each key of SECURE_SESSIONS has a row in the reference."""
    assert f"``{name}``" in documented("settings")


def test_no_setting_is_invented():
    """Each key that the reference lists exists."""
    listed = re.findall(r"\* - ``([A-Z_]+)``", documented("settings"))

    assert listed
    assert set(listed) <= DEFAULTS.keys()


def check_ids():
    return re.findall(r"[\"'](?:secure_sessions\.)?([EW]\d{3})[\"']", SOURCES)


def test_check_ids_are_unique():
    """One id means one thing, so that silencing it silences one thing."""
    ids = check_ids()

    assert ids
    assert [name for name, count in Counter(ids).items() if count > 1] == []


def test_checks_are_documented():
    """What a check says can be looked up by its id."""
    assert [name for name in set(check_ids()) if name not in documented("checks")] == []


@pytest.mark.parametrize(
    "name", [n for n, value in vars(signals).items() if hasattr(value, "send_robust")]
)
def test_signal_is_documented(name):
    """Each signal of ours is in the reference."""
    assert name in documented("signals")


@pytest.mark.parametrize("kind", list(EventKind))
def test_kind_of_event_is_documented(kind):
    """Whoever reads the audit trail can look up what happened."""
    assert f"``{kind.value}``" in documented("events")


def test_no_kind_of_event_is_invented():
    """Each kind that the reference lists exists."""
    first_cells = re.findall(r"\* - .*``", documented("events"))
    listed = re.findall(r"``([a-z_]+)``", " ".join(first_cells))

    assert set(listed) - {"kind"} == {kind.value for kind in EventKind}


@pytest.mark.parametrize("reason", answers.ENDED_TEXTS)
def test_reason_that_is_told_is_documented(reason):
    """A program that is told why a session ended knows all it may be told."""
    assert f"``{reason}``" in documented("answers")


def test_refusals_are_documented():
    """Each code of a refusal is in the reference."""
    codes = set(re.findall(r"\b[45]\d\d,\s*\"([a-z_]+)\"", SOURCES))
    codes |= set(re.findall(r"_detour\(request, \"([a-z_]+)\"", SOURCES))

    assert len(codes) > 10
    assert {code for code in codes if f"``{code}``" not in documented("answers")} == (
        set()
    )


def test_permissions_are_documented():
    """What may be given to people is in the reference, and nothing else is."""
    models = apps.get_app_config("django_secure_sessions").get_models()
    given = {
        name
        for model in models
        for name in (
            *(f"{action}_{model._meta.model_name}" for action in _actions(model)),
            *(codename for codename, _ in model._meta.permissions),
        )
    }

    assert set(re.findall(r"\* - ``(\w+)``", documented("permissions"))) == given


def _actions(model):
    return model._meta.default_permissions


def test_templates_are_documented():
    """A template that a site may replace is in the reference, by its name."""
    folder = ROOT / "templates" / "secure_sessions"
    names = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
    }
    listed = re.findall(r"``([\w/]+\.(?:html|txt))``", documented("templates"))

    assert names == set(listed) - {"secure_sessions/base.html"}


def test_cookies_are_documented():
    """Both cookies are, by name."""
    assert f"``{devices.COOKIE}``" in documented("cookies")


def annotated_facts():
    """Return what annotations say of a session: written for type checkers alone."""
    tree = ast.parse(inspect.getsource(SecureSession))
    return [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("name", annotated_facts())
def test_engine_has_what_annotations_promise(name):
    """The facts that views read are those that their types name."""
    assert isinstance(inspect.getattr_static(TrackedSession, name), property)


@pytest.mark.parametrize("verb", ["end", "end_all", "end_others"])
def test_verbs_take_their_choices_by_name(verb):
    """A reason or an actor in the wrong place is an error at the call."""
    parameters = inspect.signature(getattr(lifecycle, verb)).parameters

    assert parameters["reason"].kind is inspect.Parameter.KEYWORD_ONLY
    assert parameters["actor"].kind is inspect.Parameter.KEYWORD_ONLY


def test_every_end_is_an_event():
    """The audit trail has a kind for each reason a session can end."""
    assert {reason.value for reason in EndReason} <= {kind.value for kind in EventKind}


@pytest.mark.parametrize("kind", list(EventKind))
def test_every_kind_of_event_is_recorded(kind):
    """No filter offers an event that never happens."""
    is_end = kind.value in {reason.value for reason in EndReason}
    recorded = re.findall(r"(?<!\{)EventKind\.([A-Z_]+)(?!\.value)\b", SOURCES)

    assert is_end or kind.name in recorded


def test_decorators_keep_the_name_of_a_view():
    """Tools that list views show the view, not our wrapper."""

    def account(request):
        """The account."""

    for wrap in (decorators.session_required, decorators.role_required("admin")):
        assert wrap(account).__name__ == "account"
        assert wrap(account).__doc__ == "The account."
