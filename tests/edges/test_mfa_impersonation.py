"""Support acts as a user who has a factor, by django-hijack and django-loginas."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import SESSION_KEY
from django.test import Client, override_settings
from django.urls import include, path
from django.utils import timezone

from django_secure_sessions.backends.owning import Proof
from django_secure_sessions.exceptions import CodeRejected
from django_secure_sessions.mfa import verify
from django_secure_sessions.models import Authenticator, Session, SessionEvent
from django_secure_sessions.state import ClientInfo
from django_secure_sessions.testing import login_with_second_factor
from tests import mfa_pages
from tests.factories import PASSWORD, UserFactory
from tests.mfa import code_at, give_totp, wrong_code

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

VERIFY = "/account/mfa/verify/"
CONFIRM = "/account/mfa/confirm/"
ADD = "/account/mfa/app/add/"
JSON = {"headers": {"accept": "application/json"}}

urlpatterns = [
    path("hijack/", include("hijack.urls")),
    path("loginas/", include("loginas.urls")),
    *mfa_pages.urlpatterns,
]


def hijack(browser, user):
    return browser.post("/hijack/acquire/", {"user_pk": user.pk})


def loginas(browser, user):
    return browser.post(f"/loginas/login/user/{user.pk}/")


@pytest.fixture(params=[hijack, loginas], ids=lambda tool: tool.__name__)
def act_as(request):
    """Return a way to act as a user."""
    return request.param


@pytest.fixture
def member(db):
    """Return a user with an authenticator app, as ``member.secret``."""
    person = UserFactory()
    person.secret = give_totp(person)
    return person


@pytest.fixture
def supporter(db):
    person = UserFactory(is_staff=True, is_superuser=True)
    person.secret = give_totp(person)
    return person


@pytest.fixture
def desk(supporter):
    """Return the browser of a supporter who has shown the own factor."""
    browser = Client()
    login_with_second_factor(browser, supporter)
    return browser


def user_of(browser):
    return browser.get("/who/").json()["user"]


class TestBegin:
    def test_the_supporters_own_code_is_enough(self, desk, supporter, member, act_as):
        """Nobody is asked for the code of the user they help."""
        assert VERIFY not in act_as(desk, member)["Location"]

        assert user_of(desk) == member.pk
        row = Session.objects.get(user=member)
        assert row.impersonator == str(supporter.pk)
        assert SessionEvent.objects.get(session_id=row.pk, kind="login").actor == str(
            supporter.pk
        )

    def test_middleware_around_ours_finds_the_user(self, desk, member, act_as):
        """As after any login, and by whichever of Django's two ways it asks."""
        request = act_as(desk, member).wsgi_request
        assert request.user == member
        assert async_to_sync(request.auser)() == member

    def test_support_finds_no_full_house(self, desk, member, act_as, settings):
        """It is neither asked for room nor part of a choice."""
        settings.SECURE_SESSIONS = {"MAX_SESSIONS": 1, "LIMIT_STRATEGY": "ask"}
        own = Client()
        own.get(f"/enter/{member.pk}/")
        own.post(VERIFY, {"code": code_at(member.secret, timezone.now())})
        act_as(desk, member)
        assert (user_of(desk), user_of(own)) == (member.pk, member.pk)

        late = Client()
        late.get(f"/enter/{member.pk}/")
        code = code_at(member.secret, timezone.now(), 1)
        asked = late.post(VERIFY, {"code": code}, **JSON).json()
        assert [one["id"] for one in asked["choose"]] == [str(own.session.public_id)]
        late.post(asked["url"], {"end": str(desk.session.public_id)}, **JSON)
        assert (user_of(desk), user_of(late)) == (member.pk, None)

    def test_the_users_factor_was_not_shown(self, desk, member, act_as):
        """Level 1, and the methods say what it is."""
        act_as(desk, member)
        assert desk.session.aal == 1
        assert desk.session.amr == ("impersonation",)
        assert "mfa_required" not in SessionEvent.objects.filter(
            user=member
        ).values_list("kind", flat=True)

    def test_a_supporter_without_a_factor_needs_none(self, member, act_as):
        """Where the site asks nobody for one, it helps without one."""
        person, browser = UserFactory(is_staff=True, is_superuser=True), Client()
        browser.get(f"/enter/{person.pk}/")
        act_as(browser, member)
        assert user_of(browser) == member.pk

    def test_a_supporter_who_has_not_shown_the_own_factor(
        self, desk, supporter, member, act_as
    ):
        """A level 1 session of who has a factor gets into nobody's account."""
        Session.objects.filter(user=supporter).update(aal=1, amr="pwd")
        assert act_as(desk, member)["Location"].startswith(VERIFY)
        assert user_of(desk) is None
        assert SESSION_KEY not in desk.session
        assert not Session.objects.filter(user=member).exists()

    def test_from_one_borrowed_session_into_the_next(self, desk, member):
        """Only a session of one's own vouches: the second one asks for the code."""
        helped = UserFactory(is_staff=True, is_superuser=True)
        hijack(desk, helped)
        assert user_of(desk) == helped.pk
        hijack(desk, member)
        assert user_of(desk) is None

    def test_a_login_as_another_is_no_impersonation(self, desk, member):
        """Without the mark of a tool it is a login, and takes the code."""
        desk.get(f"/enter/{member.pk}/")
        assert user_of(desk) is None

    def test_giving_back_asks_for_the_own_code(self, desk, supporter, member):
        """The supporter's session ended; the password does not bring level 2 back."""
        hijack(desk, member)
        response = desk.post("/hijack/release/")
        assert response["Location"].startswith(VERIFY)
        assert user_of(desk) is None
        desk.post(VERIFY, {"code": code_at(supporter.secret, timezone.now(), 1)})
        assert user_of(desk) == supporter.pk
        assert desk.session.aal == 2
        assert desk.session.impersonator == ""

    def test_a_duty_is_the_supporters(self, desk, act_as):
        """A user who must set up a factor does not have it set up by support."""
        clerk = UserFactory(is_staff=True)
        with override_settings(SECURE_SESSIONS={"MFA_REQUIRED_FOR": "staff"}):
            act_as(desk, clerk)
            assert user_of(desk) == clerk.pk


@pytest.fixture(params=[True, False], ids=["with a factor", "without"])
def helped(request, member):
    """Return a user who is being helped; some have a second factor."""
    return member if request.param else UserFactory()


@pytest.fixture
def borrowed(desk, helped, act_as):
    """Return the supporter's browser, acting as the user who is helped."""
    act_as(desk, helped)
    assert user_of(desk) == helped.pk
    return desk


class TestInside:
    """A borrowed session proves nothing of its user, and can't be made to."""

    @pytest.mark.parametrize("url", ["/vault/", "/avault/", "/fresh/", "/class/fresh/"])
    def test_no_gate_opens(self, borrowed, url):
        """Neither level 2 nor a recent proof, although it began a moment ago."""
        response = borrowed.get(url, **JSON)
        assert response.status_code == 403
        assert response.json()["error"] == "permission_denied"
        assert response.json()["reason"] == "impersonation"
        page = borrowed.get(url)
        assert page.status_code == 403
        assert "while you act as somebody else" in page.content.decode()

    @pytest.mark.parametrize(
        "url",
        [
            ADD,
            "/account/mfa/key/add/",
            "/account/mfa/recovery/",
            CONFIRM,
            "/account/mfa/confirm/challenge/",
        ],
    )
    def test_no_factor_is_changed(self, borrowed, helped, url):
        """Neither added nor replaced, nor is the user's key asked for anything."""
        before = list(Authenticator.objects.filter(user=helped).values("id", "secret"))
        for send in (borrowed.get, borrowed.post):
            assert send(url, **JSON).status_code in (403, 405)
        after = list(Authenticator.objects.filter(user=helped).values("id", "secret"))
        assert after == before

    def test_the_users_proofs_raise_nothing(self, borrowed, helped):
        """Not even a password or a code the user was talked into giving away."""
        proofs = {"password": PASSWORD}
        if hasattr(helped, "secret"):
            proofs = {"code": code_at(helped.secret, timezone.now())}
        assert borrowed.post(CONFIRM, proofs, **JSON).status_code == 403
        assert borrowed.session.aal == 1

    def test_the_service_refuses_and_charges_nothing(self, borrowed, helped):
        """Below every page: refused, and nothing is spent."""
        answer = verify.Password(lambda: True)
        if hasattr(helped, "secret"):
            code = code_at(helped.secret, timezone.now())
            answer = verify.parse_code(code)
        with pytest.raises(CodeRejected):
            verify.step_up(
                borrowed.session,
                helped,
                answer,
                now=timezone.now(),
                client=ClientInfo(),
            )
        for factor in Authenticator.objects.filter(user=helped):
            assert factor.last_step == -1

    def test_the_engine_raises_nothing(self, borrowed):
        """Whatever a site's own code says was shown."""
        session = borrowed.session
        session.elevate(Proof(2, "fed mfa"))
        assert (session.aal, session.amr) == (1, ("impersonation",))

    @pytest.mark.parametrize("path", ["sessions", "api/sessions"])
    def test_the_user_is_not_signed_out_elsewhere(self, borrowed, helped, path):
        """Ending the user's other sessions takes a proof of the user."""
        response = borrowed.post(f"/account/{path}/end-others/", **JSON)
        assert response.status_code == 403
        assert response.json()["reason"] == "impersonation"

    def test_the_own_password_page_of_a_site(self, borrowed, helped):
        """What a site guards by ``recent_auth_required`` stays shut for a POST too."""
        assert borrowed.post("/class/fresh/", **JSON).status_code == 403


def test_a_guessed_code_is_not_charged_to_the_user(desk, member):
    """Support can't lock the user's factor out by guessing."""
    hijack(desk, member)
    bad = wrong_code(member.secret, timezone.now())
    for _ in range(6):
        assert desk.post(CONFIRM, {"code": bad}, **JSON).status_code == 403
    assert not SessionEvent.objects.filter(user=member, kind="mfa_failed").exists()
