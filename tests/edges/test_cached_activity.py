"""Lists of sessions whose last activity only the cache knows (TOUCH_STORE)."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone
from django.utils.formats import date_format

from django_secure_sessions.models import Session
from tests.cached import cached_engine
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

SESSIONS = "/admin/django_secure_sessions/session/"
MINUTE = 60


@pytest.fixture
def lagging(settings, clock, sign_in, user, superuser):
    """
    Return a browser that was active 20 minutes ago, and another at its desk.

    The table last heard of it 34 minutes ago, and an idle timeout is 30.
    """
    settings.SECURE_SESSIONS = {"TOUCH_STORE": "cache"}
    with cached_engine(settings):
        browser = sign_in(user)
        gone = sign_in(UserFactory())
        for _ in range(7):
            clock.shift(2 * MINUTE)
            assert browser.get("/account/sessions/").status_code == 200
        browser.seen = timezone.now()
        clock.shift(20 * MINUTE)
        browser.desk = sign_in(superuser)
        browser.gone = gone.session_id
        row = Session.objects.get(pk=browser.session_id)
        assert (timezone.now() - row.last_activity).total_seconds() == 34 * MINUTE
        yield browser


def listed():
    out = StringIO()
    call_command("list_sessions", json=True, stdout=out)
    return {found["id"]: found for found in json.loads(out.getvalue())}


def test_command_lists_what_is_live(lagging, user):
    """list_sessions takes the engine's word for what is live, and since when."""
    found = listed()

    assert str(lagging.gone) not in found
    assert list(found) == [str(lagging.desk.session_id), str(lagging.session_id)]
    seen = found[str(lagging.session_id)]["last_activity"]
    assert seen.startswith(f"{lagging.seen:%Y-%m-%dT%H:%M:%S}")


def test_admin_lists_what_is_live(lagging):
    """The plain list shows the session, its activity and its true deadline."""
    page = lagging.desk.get(SESSIONS)
    [shown] = [
        session
        for session in page.context["cl"].result_list
        if session.pk == lagging.session_id
    ]

    assert shown.last_activity == lagging.seen
    assert f"Live until {_short(lagging.seen, minutes=30)}" in page.content.decode()


def test_admin_page_of_a_session(lagging):
    """So does the page of the session, and the one that asks before it ends."""
    page = lagging.desk.get(f"{SESSIONS}{lagging.session_id}/change/")
    asked = lagging.desk.post(f"{SESSIONS}{lagging.session_id}/revoke/")

    assert f"Live until {_short(lagging.seen, minutes=30)}" in page.content.decode()
    assert asked.context["sessions"][0]["last_activity"] == lagging.seen


def test_long_idle_is_not_listed(lagging, clock):
    """The generous list still ends: at one and a half idle timeouts."""
    clock.shift(12 * MINUTE)
    page = lagging.desk.get(SESSIONS)

    shown = {session.pk for session in page.context["cl"].result_list}
    assert lagging.gone not in shown
    assert str(lagging.session_id) not in listed()


def _short(moment, *, minutes):
    deadline = moment + timedelta(minutes=minutes)
    return date_format(timezone.localtime(deadline), "SHORT_DATETIME_FORMAT")
