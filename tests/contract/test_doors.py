"""The limit at each door, and doors that break while somebody is in them."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.signals import user_logged_in
from django.contrib.auth.tokens import default_token_generator
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from django_secure_sessions import limits
from django_secure_sessions.models import Session
from tests.contract.test_login import live_ids
from tests.contract.test_resurrection import opened
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db(transaction=True)

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def page(browser, user, path="/login/"):
    form = {"username": user.username, "password": PASSWORD}
    browser.post(path, form, user_agent=FIREFOX)


def admin(browser, user):
    type(user).objects.filter(pk=user.pk).update(is_staff=True)
    page(browser, user, "/admin/login/?next=/admin/")


def own_page(browser, user):
    page(browser, user, "/own/login/")


def view(browser, user):
    browser.get(f"/{'a' * browser.asgi}enter/{user.pk}/", user_agent=FIREFOX)


def reset(browser, user):
    """Follow the link of a password reset that logs in at its end."""
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    token = default_token_generator.make_token(user)
    path = browser.get(f"/reset/{uid}/{token}/").url
    password = "another horse battery staple"
    form = {"new_password1": password, "new_password2": password}
    browser.post(path, form, user_agent=FIREFOX)


def force_login(browser, user):
    if browser.asgi:
        async_to_sync(browser.client.aforce_login)(user)
    else:
        browser.client.force_login(user)


DOORS = [page, admin, own_page, view, reset, force_login]


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_limit(visitor, store, user, settings, door):
    """Whatever the door, the newcomer is in, known, and one of three at most."""
    # Otherwise the reset itself ends the others.
    settings.SECURE_SESSIONS = {"ON_PASSWORD_CHANGE": "keep"}
    browser = visitor()
    settings.ROOT_URLCONF = "tests.mfa_pages"
    before = {opened(store, user).public_id for _ in range(3)}
    door(browser, user)
    (newcomer,) = live_ids(user) - before
    row = Session.objects.get(pk=newcomer)

    assert len(live_ids(user)) == 3
    assert store(browser.key).public_id == newcomer
    if door is not force_login:  # which has no request
        assert (row.ip_address, row.user_agent) == ("127.0.0.1", FIREFOX)


def fail(*args, **kwargs):
    raise RuntimeError("broken")


def break_evictor(monkeypatch, settings):
    monkeypatch.setattr(limits, "choose_victims", fail)


def break_rules(monkeypatch, settings):
    settings.SECURE_SESSIONS = {"RULES_FOR": fail}


def break_receiver(monkeypatch, settings):
    monkeypatch.setattr(user_logged_in, "send", fail)
    monkeypatch.setattr(user_logged_in, "asend", fail)


@pytest.mark.parametrize("known", [True, False], ids=["known browser", "new browser"])
@pytest.mark.parametrize("breaks", [break_evictor, break_rules, break_receiver])
def test_broken(visitor, store, user, settings, monkeypatch, breaks, known):
    """Where the limit, or a receiver of the login, raises, nobody gets in."""
    sessions = [opened(store, user) for _ in range(3)]
    before = live_ids(user)
    browser = visitor()
    if known:
        browser.get("/put/cart/full/")
    with monkeypatch.context() as patch:
        breaks(patch, settings)
        response = browser.get(f"/{'a' * browser.asgi}enter/{user.pk}/")
    settings.SECURE_SESSIONS = {}

    assert response.status_code == 500
    assert live_ids(user) == before
    assert not Session.objects.filter(user=user).exclude(pk__in=before).exists()
    assert browser.user is None
    assert all(store(session.session_key)[SESSION_KEY] for session in sessions)
