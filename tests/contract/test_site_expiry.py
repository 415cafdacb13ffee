"""What a site's own words on expiry do beside ours: the nearest end counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.contrib.auth import SESSION_KEY

from django_secure_sessions.conf import conf
from tests.contract.test_login import reasons
from tests.contract.test_resurrection import lives

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def browser(visitor, user, clock):
    browser = visitor()
    browser.enter(user)
    return browser


def test_set_expiry_can_not_lengthen(browser, user, clock):
    """Two weeks from set_expiry() don't outlast half an hour without a request."""
    browser.get(f"/expire-in/{14 * 86400}/")
    clock.shift(30 * MINUTE)

    assert browser.user is None
    assert reasons(user) == ["idle"]


def test_set_expiry_can_shorten(browser, user, clock):
    """Ten minutes from set_expiry() pass sooner than the idle timeout."""
    browser.get("/expire-in/600/")
    clock.shift(9 * MINUTE)
    assert browser.user == user.pk
    clock.shift(10 * MINUTE)

    assert browser.user is None
    assert reasons(user) == ["expired"]


def test_cookie_age_is_the_outermost_limit(browser, user, clock, settings):
    """Django's two weeks hold where our own timeouts are longer or off."""
    settings.SECURE_SESSIONS = {"IDLE_TIMEOUT": None, "ABSOLUTE_TIMEOUT": None}
    clock.shift(14 * DAY)

    assert browser.user is None


def test_cookie_without_an_end_ends_on_the_server(browser, user, clock):
    """A cookie for as long as the browser is open is not a session for as long."""
    browser.get("/expire-in/0/")
    clock.shift(30 * MINUTE)

    assert browser.user is None


def remembering(user):
    """RULES_FOR of a site with a "remember me" box, as our documentation has it."""
    if getattr(user, "remember_me", False):
        return replace(conf.rules, idle=14 * DAY, absolute=30 * DAY)
    return None


@pytest.mark.parametrize(("ticked", "is_live"), [(True, True), (False, False)])
def test_remember_me(store, user, clock, settings, ticked, is_live):
    """What the login form said about a user holds for that session, not the next."""
    settings.SECURE_SESSIONS = {"RULES_FOR": f"{__name__}.remembering"}
    user.remember_me = ticked
    session = store()
    session.login_user = user
    session[SESSION_KEY] = str(user.pk)
    session.save()

    clock.shift(13 * DAY)

    assert lives(store, session.session_key) is is_live
