"""A second factor from the first code to the admin's door, in a real browser."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import expect

from tests.example_site import running_site

pytestmark = pytest.mark.browser

PASSWORD = "low-tide-at-nine"
PHONE = {"width": 390, "height": 844}
# Not the address of a page that only leads there, with "?next=/profile/".
PROFILE = re.compile(r"^[^?]*/profile/$")
ADMIN = re.compile(r"^[^?]*/admin/$")
# Set to a folder to keep pictures of the pages for a look.
PICTURES = os.environ.get("SCREENSHOTS")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Serve the demo for all tests of this module."""
    with running_site(tmp_path_factory.mktemp("mfa")) as site:
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
    # A refused code is an error to the console too; it is what the test asked for.
    unexpected = [text for text in complaints if "status of 401" not in text]
    assert unexpected == []


class App:
    """An authenticator app: each code of it is shown once."""

    def __init__(self, secret):
        self.totp, self.last = pyotp.TOTP(secret), 0

    def code(self):
        """Return a code that was not shown yet; the window has room for two."""
        current = int(time.time()) // 30
        self.last = max(current, self.last + 1)
        assert self.last <= current + 1
        return self.totp.generate_otp(self.last)


def picture(page, name):
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)


def type_password(page, username, path="/login/"):
    page.goto(path)
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    button = re.compile("^(Sign in|Log in)$")
    page.locator("#main, #content").get_by_role("button", name=button).click()


def sign_out(page):
    page.goto("/")
    page.get_by_role("button", name="Sign out").click()


def type_code(page, code):
    page.get_by_label("Code from your authenticator app").fill(code)
    page.locator("form", has=page.locator("#code")).get_by_role(
        "button", name="Continue"
    ).click()


def check_paper(page):
    """On paper are the codes and the site's name; the download has the codes too."""
    page.emulate_media(media="print")
    expect(page.locator(".recovery-codes code").first).to_be_visible()
    expect(page.get_by_text("Recovery codes for Tidemark")).to_be_visible()
    shown = page.evaluate("document.body.innerText").split()
    picture(page, "recovery-codes-on-paper")
    page.emulate_media(media="screen")
    codes = page.locator(".recovery-codes code").all_inner_texts()
    assert set(shown) - set(codes) == {"Recovery", "codes", "for", "Tidemark"}


def check_download(page, codes):
    """The file has every code."""
    with page.expect_download() as begun:
        page.get_by_role("link", name="Download").click()
    assert begun.value.suggested_filename == "recovery-codes.txt"
    kept = Path(begun.value.path()).read_text()
    assert [line for line in kept.splitlines() if line in codes] == codes


def set_up_app(page):
    """Add an authenticator app; return it and the recovery codes."""
    page.goto("/account/mfa/app/add/")
    secret = page.locator("code.secret").inner_text().replace(" ", "")
    app = App(secret)
    picture(page, "add-app")
    page.get_by_label("Code the app shows now").fill(app.code())
    page.get_by_label(re.compile("^Name")).fill("Pocket phone")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your recovery codes")
    picture(page, "recovery-codes")
    check_paper(page)
    codes = page.locator(".recovery-codes code").all_inner_texts()
    check_download(page, codes)
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_role("heading", name="Pocket phone")).to_be_visible()
    picture(page, "overview")
    return app, codes


def plug_in_key(page):
    """Give the browser a security key that is touched as soon as it blinks."""
    devices = page.context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "usb",
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    devices.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def test_the_story_of_a_second_factor(open_browser):
    """Enrol, sign out, in with a code, a recovery code, a key, and to the admin."""
    page = open_browser()
    type_password(page, "ingrid")
    app, recovery_codes = set_up_app(page)
    assert len(recovery_codes) == 10

    sign_out(page)
    type_password(page, "ingrid")
    expect(page.get_by_role("heading", level=1)).to_have_text("One more step")
    expect(page.get_by_label("Code from your authenticator app")).to_be_focused()
    picture(page, "verify")
    # Half done is not signed in.
    expect(page.get_by_role("link", name="Profile")).to_have_count(0)
    type_code(page, "000000")
    expect(page.get_by_role("alert")).to_contain_text("not right")
    picture(page, "verify-wrong")
    type_code(page, app.code())
    expect(page).to_have_url(PROFILE)

    sign_out(page)
    type_password(page, "ingrid")
    page.get_by_text("Use a recovery code instead").click()
    page.get_by_label("Recovery code").fill(recovery_codes[0].lower())
    picture(page, "verify-recovery")
    page.locator("form", has=page.locator("#recovery_code")).get_by_role(
        "button", name="Continue"
    ).click()
    expect(page).to_have_url(PROFILE)

    plug_in_key(page)
    page.goto("/account/mfa/key/add/")
    page.get_by_label(re.compile("^Name")).fill("Blue key")
    picture(page, "add-key")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("heading", name="Blue key")).to_be_visible()
    expect(page.get_by_text("9 recovery codes are left")).to_be_visible()
    picture(page, "overview-key")

    sign_out(page)
    type_password(page, "ingrid")
    page.get_by_role("button", name="Use a security key or passkey").click()
    expect(page).to_have_url(PROFILE)

    # An administrator's password alone opens no page of the admin.
    sign_out(page)
    type_password(page, "ingrid", "/admin/login/?next=/admin/")
    expect(page.get_by_role("heading", level=1)).to_have_text("One more step")
    page.goto("/admin/")
    expect(page).to_have_url(re.compile("/admin/login/"))
    page.goto("/account/mfa/verify/?next=/admin/")
    page.get_by_role("button", name="Use a security key or passkey").click()
    expect(page).to_have_url(ADMIN)
    expect(page.get_by_role("link", name="Authenticators")).to_be_visible()


def test_no_script_is_needed_for_a_code(open_browser):
    """Set up and sign in with scripts switched off, on a phone."""
    page = open_browser(java_script_enabled=False, viewport=PHONE)
    type_password(page, "jun")
    app, _ = set_up_app(page)
    picture(page, "overview-phone")
    sign_out(page)
    type_password(page, "jun")
    picture(page, "verify-phone")
    type_code(page, app.code())
    expect(page).to_have_url(PROFILE)


def test_the_pages_fit_a_phone(open_browser):
    """Nothing is wider than a screen of 390 pixels, the picture included."""
    page = open_browser(viewport=PHONE)
    type_password(page, "leila")
    for path in ("/account/mfa/", "/account/mfa/app/add/", "/account/mfa/key/add/"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
    picture(page, "add-key-phone")
    page.goto("/account/mfa/app/add/")
    picture(page, "add-app-phone")
