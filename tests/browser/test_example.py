"""The story of the package, told by three browsers at the example site."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.example_site import running_site

pytestmark = pytest.mark.browser

PASSWORD = "low-tide-at-nine"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1"
)
DESK = "Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Serve the demo for all tests of this module."""
    with running_site(tmp_path_factory.mktemp("browser")) as site:
        yield site


@pytest.fixture
def open_browser(chromium, site):
    """Return a way to open browsers that share nothing; each gives a page."""
    contexts, complaints = [], []

    def open_browser(**options):
        context = chromium.new_context(base_url=site.address, **options)
        contexts.append(context)
        page = context.new_page()
        page.on(
            "console",
            lambda said: complaints.append(said.text) if said.type == "error" else None,
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield open_browser
    for context in contexts:
        context.close()
    # Among others, what the Content-Security-Policy blocked.
    assert complaints == []


def sign_in(page, username):
    """Fill in the sign-in form and wait for the profile."""
    page.goto("/login/")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile("/profile/$"))
