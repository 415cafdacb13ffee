"""The story of the package, told by three browsers at the example site."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from tests.example_site import running_site

pytestmark = pytest.mark.browser

PASSWORD = "low-tide-at-nine"
STATUS = "/account/api/session/"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1"
)
ON_PHONE = "Safari on iPhone"
DESK = "Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0"
ON_DESK = "Firefox on Linux"


@pytest.fixture(scope="module")
def site(request, tmp_path_factory):
    """Serve the demo for all tests of this module, or with settings of a test's own."""
    settings = getattr(request, "param", {})
    with running_site(tmp_path_factory.mktemp("browser"), **settings) as site:
        yield site


@pytest.fixture
def open_browser(chromium, site):
    """Return a way to open browsers that share nothing; each gives a page."""
    contexts, complaints = [], []

    def complain(said):
        # Chromium reports a 401 that the timeout's script asks for, and deals with.
        is_told = "status of 401" in said.text and said.location["url"].endswith(STATUS)
        if said.type == "error" and not is_told:
            complaints.append(said.text)

    def open_browser(**options):
        context = chromium.new_context(base_url=site.address, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", complain)
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


def row_of(page, device):
    """Return the one line of the admin's list that names this device."""
    return page.locator("#result_list tbody tr").filter(has_text=device)


def test_a_revoked_browser_is_signed_out_at_its_next_click(open_browser):
    """An admin finds two browsers of one person and ends one of them."""
    phone, desk = open_browser(user_agent=PHONE), open_browser(user_agent=DESK)
    admin = open_browser()
    sign_in(phone, "leila")
    sign_in(desk, "leila")
    sign_in(admin, "ingrid")

    admin.goto("/admin/django_secure_sessions/session/?q=leila")
    headings = admin.locator("#result_list thead")
    for heading in (
        "user",
        "device",
        "IP address",
        "created",
        "last active",
        "expires",
    ):
        expect(headings).to_contain_text(heading, ignore_case=True)
    for device in (ON_PHONE, ON_DESK):
        row = row_of(admin, device)
        expect(row).to_contain_text("leila")
        expect(row).to_contain_text("127.0.0.1")

    row_of(admin, ON_PHONE).get_by_role("checkbox").check()
    admin.locator("select[name=action]").select_option(label="Revoke selected sessions")
    admin.locator("button[name=index]").click()
    expect(admin.get_by_role("main")).to_contain_text(ON_PHONE)
    admin.get_by_role("button", name="Yes, revoke").click()
    expect(admin.get_by_text("1 session was revoked.")).to_be_visible()
    expect(row_of(admin, ON_PHONE)).to_have_count(0)

    phone.get_by_role("link", name="Profile").click()
    expect(phone).to_have_url(re.compile(r"/login/\?next=/profile/"))
    expect(phone.get_by_role("alert")).to_contain_text("signed out")
    desk.get_by_role("link", name="Profile").click()
    expect(desk.get_by_role("heading", level=1)).to_have_text("Leila Haddad")


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("query", ["session/", "session/?state=all", "sessionevent/"])
def test_the_admins_lists_hide_no_column(open_browser, width, query):
    """Every fact of a row is on the screen, on a desk and on a phone."""
    page = open_browser(viewport={"width": width, "height": 800})
    sign_in(page, "ingrid")
    page.goto(f"/admin/django_secure_sessions/{query}")

    for cell in page.locator("#result_list tbody tr").first.locator("td, th").all():
        box = cell.bounding_box()
        if box is not None and box["width"]:
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
    hidden = "e => e.scrollWidth - e.clientWidth"
    assert page.locator(".results").evaluate(hidden) <= 0


@pytest.mark.parametrize("path", ["/", "/login/", "/profile/", "/account/sessions/"])
def test_a_page_fits_a_phone(open_browser, path):
    """Nothing is wider than a screen of 390 pixels."""
    page = open_browser(viewport={"width": 390, "height": 844})
    if path in {"/profile/", "/account/sessions/"}:
        sign_in(page, "amara")

    page.goto(path)

    width = page.evaluate("document.documentElement.scrollWidth")
    assert width == 390


def background(page):
    """Return the colour behind the page."""
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_the_device_chooses_light_or_dark_until_the_reader_does(open_browser):
    """A page follows the device; a saved preference wins over it."""
    light, dark = open_browser(color_scheme="light"), open_browser(color_scheme="dark")
    for page in (light, dark):
        page.goto("/preferences/")
    paper = background(light)
    assert background(dark) != paper

    dark.get_by_label("Light", exact=True).check()
    dark.get_by_role("button", name="Save").click()

    expect(dark.get_by_role("status")).to_be_visible()
    assert background(dark) == paper


def test_the_keyboard_is_enough_to_sign_in(open_browser):
    """From the address bar: skip link, form, profile; no mouse, no script."""
    page = open_browser(java_script_enabled=False)
    page.goto("/login/")
    page.get_by_label("Username").focus()
    page.keyboard.type("jun")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")

    expect(page).to_have_url(re.compile("/profile/$"))


@pytest.mark.parametrize("site", [{"LIMIT_STRATEGY": "ask"}], indirect=True)
def test_who_finds_no_room_chooses_which_session_ends(open_browser):
    """The fourth sign-in waits, without a script too; the chosen browser is told."""
    phone, desk = open_browser(user_agent=PHONE), open_browser(user_agent=DESK)
    new = open_browser(
        java_script_enabled=False, viewport={"width": 390, "height": 844}
    )
    # The demo has signed jun in on one device already.
    for page in (phone, desk):
        sign_in(page, "jun")

    new.goto("/login/?next=/preferences/")
    new.get_by_label("Username").fill("jun")
    new.get_by_label("Password").fill(PASSWORD)
    new.get_by_role("main").get_by_role("button", name="Sign in").click()
    expect(new.get_by_role("heading", level=1)).to_contain_text("3 devices")
    assert new.evaluate("document.documentElement.scrollWidth") == 390
    new.goto("/profile/")  # nobody yet
    expect(new.get_by_role("heading", level=1)).to_contain_text("3 devices")
    new.get_by_label(ON_PHONE).check()
    new.get_by_role("button", name="Continue").click()

    expect(new).to_have_url(re.compile("/profile/$"))
    phone.get_by_role("link", name="Profile").click()
    expect(phone.get_by_role("alert")).to_contain_text("signed in on another device")
    desk.get_by_role("link", name="Profile").click()
    expect(desk).to_have_url(re.compile("/profile/$"))


class TestTimeoutWarning:
    """Sessions of the demo idle out after 30 minutes, and last for 12 hours."""

    @pytest.fixture
    def page(self, open_browser):
        """Return a page of somebody who signs in and goes away."""
        page = open_browser()
        page.clock.install()
        sign_in(page, "amara")
        return page

    def test_who_was_away_is_warned_and_stays(self, page, site):
        """Two minutes before the end all tabs warn; the button in any one will do."""
        other = page.context.new_page()
        other.goto("/preferences/")
        site.set_back("amara", "last_activity", timedelta(minutes=29))

        page.clock.fast_forward("28:01")

        for tab in (page, other):
            warning = tab.get_by_role("alertdialog", name="You will be signed out soon")
            expect(warning).to_be_visible()
            expect(warning.get_by_role("timer")).to_have_text(
                re.compile(r"^(0:\d\d|1:00)$")
            )
        expect(page.get_by_role("button", name="Stay signed in")).to_be_focused()
        page.keyboard.press("Enter")
        for tab in (page, other):
            expect(tab.get_by_role("alertdialog")).to_be_hidden()
        site.set_back("amara", "last_activity", timedelta(minutes=29))
        page.reload()
        expect(page).to_have_url(re.compile("/profile/$"))

    def test_activity_elsewhere_counts(self, page):
        """A page left open does not warn while its reader goes on in another tab."""
        with page.expect_response(f"**{STATUS}"):
            page.clock.fast_forward("28:01")

        expect(page.get_by_role("alertdialog")).to_be_hidden()

    def test_who_stays_away_is_told(self, page, site):
        """What stood on the page is still there, under the reason and a way back."""
        site.set_back("amara", "last_activity", timedelta(minutes=31))

        page.clock.fast_forward("30:01")

        told = page.get_by_role("alertdialog")
        expect(told).to_contain_text("You were signed out because you were inactive.")
        expect(told.get_by_role("button")).to_have_count(0)
        told.get_by_role("link", name="Sign in again").click()
        expect(page).to_have_url(re.compile(r"/login/\?next=/profile/"))
        expect(page.get_by_role("alert")).to_contain_text("inactive")

    def test_a_fixed_expiry_cannot_be_extended(self, page):
        """Nor does a button promise it where the site itself set the time."""
        left = {"remaining": 60, "idle_remaining": None, "absolute_remaining": None}
        page.route(f"**{STATUS}", lambda route: route.fulfill(json=left))

        page.clock.fast_forward("28:01")

        warning = page.get_by_role("alertdialog")
        expect(warning).to_be_visible()
        expect(warning.get_by_role("button", name="Stay signed in")).to_be_hidden()

    def test_the_longest_time_cannot_be_extended(self, page, site):
        """No button promises what the server would not keep."""
        site.set_back("amara", "authenticated_at", timedelta(hours=11, minutes=59))

        page.clock.fast_forward("28:01")

        warning = page.get_by_role("alertdialog")
        expect(warning).to_contain_text("longest time")
        expect(warning.get_by_role("button", name="Stay signed in")).to_be_hidden()
        warning.get_by_role("button", name="Close").click()
        expect(warning).to_be_hidden()
