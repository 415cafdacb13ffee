"""django-allauth's adapter, led on to our second factor.

A stand-in has the two names that ours is built on, and logs in as allauth's does.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from unittest import mock

import pytest
from django.contrib.auth import login

from django_secure_sessions.backends.db import SessionStore
from tests.factories import UserFactory
from tests.mfa import BACKEND, give_totp

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.mfa_pages")]


class Immediate(Exception):
    """Carry a response past the rest of a flow, as allauth's exception does."""

    def __init__(self, response):
        self.response = response


class DefaultAdapter:
    def login(self, request, user):
        login(request, user, BACKEND)


@pytest.fixture
def adapter():
    """Return our adapter over the stand-in."""
    names = ["allauth", "allauth.account", "allauth.account.adapter", "allauth.core"]
    modules = {name: ModuleType(name) for name in [*names, "allauth.core.exceptions"]}
    modules["allauth.account.adapter"].DefaultAccountAdapter = DefaultAdapter
    modules["allauth.core.exceptions"].ImmediateHttpResponse = Immediate
    ours = "django_secure_sessions.contrib.allauth"
    with mock.patch.dict(sys.modules, modules):
        sys.modules.pop(ours, None)
        yield importlib.import_module(ours).AccountAdapter()


def request_with_session(rf, path):
    request = rf.post(path)
    request.session = SessionStore()
    return request


@pytest.mark.parametrize(
    ("asked", "back"),
    [("/basket/", "/basket/"), ("//evil.example", "/"), ("", "/")],
)
def test_a_user_with_a_factor_is_led_on(rf, adapter, asked, back):
    """The flow stops there, and goes on where the code is asked for."""
    member = UserFactory()
    give_totp(member)
    request = request_with_session(rf, f"/accounts/login/?next={asked}")

    with pytest.raises(Immediate) as stopped:
        adapter.login(request, member)

    wanted = f"/account/mfa/verify/?next={back}"
    assert stopped.value.response["Location"] == wanted
    assert not request.user.is_authenticated


def test_a_user_without_one_is_not_held_up(rf, adapter):
    """allauth's login ends as it always does."""
    user = UserFactory()
    request = request_with_session(rf, "/accounts/login/")
    adapter.login(request, user)
    assert request.session["_auth_user_id"] == str(user.pk)
