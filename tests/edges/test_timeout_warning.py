"""A page that warns before a timeout: what the tag puts on it, and for whom."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.http import HttpResponse
from django.template import RequestContext, Template
from django.test import Client
from django.urls import path

from tests import urls
from tests.factories import PASSWORD
from tests.mfa import give_totp

pytestmark = pytest.mark.django_db

PAGE = Template(
    "{% load secure_sessions %}{{ user }}{% session_timeout_warning %}"
    "{% session_timeout_warning 20 %}"
)


def page(request):
    return HttpResponse(PAGE.render(RequestContext(request)))


urlpatterns = [*urls.urlpatterns, path("page/", page)]


@pytest.fixture(autouse=True)
def _site(settings, clock):
    settings.ROOT_URLCONF = __name__
    settings.SECURE_SESSIONS = {
        "IDLE_TIMEOUT": timedelta(minutes=30),
        "ABSOLUTE_TIMEOUT": timedelta(hours=12),
    }


def said(browser):
    """Return (seconds until the script asks, seconds of warning) of both tags."""
    text = browser.get("/page/").content.decode()
    quiet = re.findall(r'data-quiet-seconds="(\d+)"', text)
    warning = re.findall(r'data-seconds="(\d+)"', text)
    return list(zip(map(int, quiet), map(int, warning), strict=True))


def test_whoever_is_signed_in_is_warned(user, sign_in):
    """Two minutes before the timeout, or as long before as the tag says."""
    assert said(sign_in(user)) == [(28 * 60, 120), (30 * 60 - 20, 20)]


def test_the_nearer_timeout_counts(user, sign_in, clock):
    """A session in use is warned of its longest time."""
    browser = sign_in(user)
    for _ in range(25):
        clock.shift(timedelta(minutes=28))
        browser.get("/page/")
    clock.shift(timedelta(minutes=10))

    assert said(browser)[0] == (8 * 60, 120)


def test_a_short_timeout_has_a_short_warning(user, sign_in, settings):
    """Nobody is warned for longer than half of the time."""
    settings.SECURE_SESSIONS = {"IDLE_TIMEOUT": timedelta(seconds=60)}

    assert said(sign_in(user)) == [(30, 30), (40, 20)]


def test_nobody_else_gets_a_script(user):
    """Neither the anonymous nor a login that waits for its code."""
    browser = Client()
    assert said(browser) == []

    give_totp(user)
    browser.post("/login/", {"username": user.username, "password": PASSWORD})
    assert said(browser) == []


def test_it_asks_no_database(user, sign_in, django_assert_num_queries):
    """A page that names its reader costs the same with the tag."""
    browser = sign_in(user)

    with django_assert_num_queries(2):  # the session, its user
        browser.get("/page/")


def test_nothing_is_inline(user, sign_in):
    """A strict Content-Security-Policy lets it through."""
    text = sign_in(user).get("/page/").content.decode()

    assert re.findall(r"<script[^>]*>(.*?)</script>", text) == ["", ""]
    assert not re.search(r"\sstyle=|\son\w+=|<style", text)
