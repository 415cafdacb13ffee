"""Sessions, their history and the users' factors in Django's admin."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from urllib.parse import urlencode
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.formats import date_format

from django_secure_sessions import lifecycle
from django_secure_sessions.admin import searching
from django_secure_sessions.admin.reading import CappedPaginator
from django_secure_sessions.models import Session, SessionEvent
from tests.factories import (
    EventFactory,
    SessionFactory,
    SessionRowFactory,
    UserFactory,
)
from tests.mfa import give_totp

pytestmark = pytest.mark.django_db

SESSIONS = "/admin/django_secure_sessions/session/"
EVENTS = "/admin/django_secure_sessions/sessionevent/"
FACTORS = "/admin/django_secure_sessions/authenticator/"
HOSTILE = "<script>alert(1)</script> javascript:alert(2) \"onx=' '"


def detail_url(session_id):
    return f"{SESSIONS}{session_id}/change/"


def revoke_url(session_id):
    return f"{SESSIONS}{session_id}/revoke/"


def listed(response):
    """Return the ids of the sessions that a page of the list shows."""
    return {session.pk for session in response.context["cl"].result_list}


def selection(*session_ids, action="revoke_selected", **fields):
    """Return what the list sends when boxes are ticked and an action is run."""
    ids = [str(session_id) for session_id in session_ids]
    return {"action": action, "_selected_action": ids, "index": "0", **fields}


def confirmed(*session_ids, action="revoke_selected", **fields):
    """Return what the confirmation sends."""
    sent = selection(*session_ids, action=action, confirmed="yes", **fields)
    del sent["index"]
    return sent


def is_live(session_id):
    return Session.objects.get(pk=session_id).ended_at is None


@pytest.fixture
def session_id(user):
    """A session of a user who is nobody special."""
    return SessionFactory(user=user).public_id


@pytest.fixture
def desk(support, sign_in):
    """The browser of a member of staff who may revoke."""
    return sign_in(support, ip="192.0.2.50")


@pytest.fixture
def throne(superuser, sign_in):
    """The browser of a superuser."""
    return sign_in(superuser, ip="192.0.2.51")


class TestList:
    def test_columns_say_who_where_and_until_when(self, user, desk):
        """A row has user, device, address, level, and the true deadline."""
        session = SessionFactory(user=user, ip="203.0.113.9")

        page = desk.get(SESSIONS)

        text = page.content.decode()
        assert user.username in text
        assert "Firefox on Linux" in text
        assert "203.0.113.9" in text
        deadline = session.last_activity + timedelta(minutes=30)
        moment = date_format(deadline, "SHORT_DATETIME_FORMAT")
        assert f"Live until {moment}" in text

    def test_state_of_what_is_over_says_why_and_since_when(self, user, desk):
        """Ended by a verb or by time alone, a row tells the reason and the moment."""
        ended = SessionFactory(user=user).public_id
        lifecycle.end(ended)
        since = timezone.now() - timedelta(hours=2)
        SessionRowFactory(
            user=user,
            created_at=since,
            last_activity=since,
            expires_at=since + timedelta(hours=12),
        )

        text = desk.get(SESSIONS + "?state=all").content.decode()

        def shown(moment):
            return date_format(moment, "SHORT_DATETIME_FORMAT")

        assert f"Revoked, {shown(Session.objects.get(pk=ended).ended_at)}" in text
        idle_at = since + timedelta(minutes=30)
        assert f"Inactive for too long, {shown(idle_at)}" in text

    def test_number_of_queries_does_not_follow_the_number_of_rows(self, throne):
        """A hundred sessions of a hundred users cost what ten do."""
        counts = []
        for total in (10, 100):
            while Session.objects.exclude(user=None).count() < total:
                SessionRowFactory(user=UserFactory())
            with CaptureQueriesContext(
                connection,
            ) as queries:
                assert len(listed(throne.get(SESSIONS + "?all="))) == total
            counts.append(len(queries))

        assert counts[0] == counts[1]
        assert counts[0] <= 4

    def test_count_stops_at_the_cap(self, throne, monkeypatch):
        """More rows than the cap are not counted, and the page says so."""
        monkeypatch.setattr(CappedPaginator, "cap", 5)
        for _number in range(8):
            SessionRowFactory(user=UserFactory())

        page = throne.get(SESSIONS)

        assert page.context["cl"].result_count == 5
        assert "only the first 5 are listed" in page.content.decode()

    def test_every_count_is_limited(self, throne):
        """No statement of the page counts a whole table."""
        with CaptureQueriesContext(connection) as queries:
            throne.get(SESSIONS)
            throne.get(EVENTS)

        counting = [q["sql"] for q in queries if "COUNT(" in q["sql"].upper()]
        assert len(counting) == 2
        assert all("LIMIT 10001" in sql for sql in counting)

    def test_plain_list_is_who_is_signed_in_now(self, user, desk):
        """Ended, idle and anonymous sessions are not in it."""
        live = SessionFactory(user=user).public_id
        lifecycle.end(ended := SessionFactory(user=user).public_id)
        anonymous = SessionFactory(user=None).public_id
        idle = SessionRowFactory(
            user=user,
            last_activity=timezone.now() - timedelta(minutes=31),
        ).pk

        found = listed(desk.get(SESSIONS))

        assert live in found
        assert not found & {ended, anonymous, idle}

    def test_filters_find_the_rest(self, user, desk):
        """By state, reason and level each kind of session can be found."""
        live = SessionFactory(user=user).public_id
        lifecycle.end(revoked := SessionFactory(user=user).public_id)
        anonymous = SessionFactory(user=None).public_id
        strong = SessionRowFactory(user=user, aal=2).pk
        own = desk.session_id

        def found(query):
            return listed(desk.get(f"{SESSIONS}?{query}"))

        assert found("state=ended") == {revoked}
        assert found("state=anonymous") == {anonymous}
        assert found("state=all") == {live, revoked, anonymous, strong, own}
        assert found("reason=revoked") == {revoked}
        assert found("reason=idle") == set()
        assert found("aal=2") == {strong}
        assert found(f"user__exact={user.pk}") == {live, strong}
        tomorrow = urlencode({"created_at__gte": timezone.now() + timedelta(days=1)})
        assert found(tomorrow) == set()

    @pytest.mark.parametrize("value", ["", "nonsense", "'", "0"])
    @pytest.mark.parametrize("name", ["state", "reason", "aal"])
    def test_unknown_value_of_a_filter_filters_nothing(self, desk, name, value):
        """A made-up value is no error."""
        assert desk.get(SESSIONS, {name: value}).status_code == 200

    def test_search_by_name_address_and_id(self, desk):
        """Each of the three finds the session."""
        wanted = SessionFactory(user=UserFactory(username="margit"), ip="203.0.113.9")
        SessionFactory(user=UserFactory(), ip="198.51.100.1")

        for term in ("ARGI", "203.0.113", str(wanted.public_id), " margit "):
            assert listed(desk.get(SESSIONS, {"q": term})) == {wanted.public_id}

    @pytest.mark.parametrize("words", ["dahl", "Margit Da", "dahl margit", "d@ahl.ex"])
    def test_search_by_full_name_and_address(self, desk, words):
        """A person is found by what people know: name, surname, e-mail, in parts."""
        person = UserFactory(
            username="m17",
            first_name="Margit",
            last_name="Dahl",
            email="margitd@ahl.example",
        )
        wanted = SessionFactory(user=person).public_id
        SessionFactory(user=UserFactory(first_name="Margit", last_name="Berg"))

        assert listed(desk.get(SESSIONS, {"q": words})) == {wanted}

    def test_search_by_the_beginning_of_an_id(self, desk, user):
        """What a log line or a table cut short is enough, however it is written."""
        wanted = SessionRowFactory(user=user, id="5e551074-ab5e-4b1d-8000-00000000000a")
        for other in ("5e551073-ffff-4b1d-8000-00000000000a", "5e551075" + 24 * "0"):
            SessionRowFactory(user=user, id=other)

        for term in ("5e551074", "5E551074-ab", "5e551074ab5e", "5e551074-"):
            assert listed(desk.get(SESSIONS, {"q": term})) == {UUID(str(wanted.pk))}
        assert len(listed(desk.get(SESSIONS, {"q": "5e55"}))) == 3
        assert listed(desk.get(SESSIONS, {"q": "5e5"})) == set()
        assert listed(desk.get(SESSIONS, {"q": "5e551074" + 30 * "0"})) == set()

    def test_search_looks_up_users_first(self, throne):
        """No statement reads every session to find those of few users."""
        SessionFactory(user=UserFactory(username="margit"))
        throne.get(SESSIONS)

        with CaptureQueriesContext(connection) as queries:
            throne.get(SESSIONS, {"q": "margit"})

        listing = [
            query["sql"].replace("`", '"')
            for query in queries
            if "secure_sessions" in query["sql"] and "LIMIT" in query["sql"]
        ]
        reading = [sql for sql in listing if '"last_activity"' in sql]
        assert reading
        for sql in reading:
            assert "LIKE" not in sql.split("WHERE")[1].upper()
            assert sql.upper().count("SELECT") <= 2
        assert len(queries) <= 5

    def test_search_that_matches_very_many_users(self, throne, monkeypatch):
        """Their sessions are found as well, without naming each user."""
        monkeypatch.setattr(searching, "FEW", 2)
        wanted = {
            SessionFactory(user=UserFactory(first_name="Kim")).public_id
            for _number in range(4)
        }

        assert listed(throne.get(SESSIONS, {"q": "kim"})) == wanted

    def test_search_by_the_digest_finds_nothing(self, desk, session_id):
        """The search can't be asked whether a digest exists."""
        digest = Session.objects.get(pk=session_id).key_digest

        assert listed(desk.get(SESSIONS, {"q": str(digest)})) == set()
        assert listed(desk.get(SESSIONS, {"q": digest.hex})) == set()

    @pytest.mark.parametrize(
        "query",
        [
            "key_digest__startswith=a",
            "key_digest=0",
            "data__contains=a",
            "previous_digest__isnull=0",
            "user__password__startswith=a",
            "user__is_superuser=1",
            "id__gt=0",
            "_to_field=key_digest",
        ],
    )
    def test_hidden_columns_can_not_be_asked_about(self, throne, query):
        """A filter nobody offers is refused, whatever column it names."""
        assert throne.get(f"{SESSIONS}?{query}").status_code == 400

    def test_sorting_is_offered_where_it_says_something(self, desk, session_id):
        """Creation and activity sort; a made-up order is ignored."""
        for order in ("5", "-6", "99", "-1", "x"):
            assert desk.get(SESSIONS, {"o": order}).status_code == 200


class TestSecrets:
    def test_no_page_holds_a_key_a_digest_or_a_payload(self, throne, user):
        """List, detail, history and confirmation have the public id alone."""
        session = SessionFactory(user=user, colour="ultramarine")
        key = session.session_key
        session.cycle_key()
        row = Session.objects.get(pk=session.public_id)
        pages = [
            throne.get(SESSIONS),
            throne.get(detail_url(row.pk)),
            throne.get(f"{SESSIONS}{row.pk}/history/"),
            throne.post(SESSIONS, selection(row.pk)),
            throne.post(revoke_url(row.pk)),
            throne.get(EVENTS),
        ]

        for page in pages:
            assert page.status_code == 200
            text = page.content.decode()
            assert user.username in text or str(row.pk) in text
            for secret in (
                key,
                session.session_key,
                str(row.key_digest),
                row.key_digest.hex,
                str(row.previous_digest),
                row.previous_digest.hex,
                bytes(row.data).hex(),
                bytes(row.previous_seal).hex(),
                "ultramarine",
            ):
                assert secret not in text

    def test_sealed_columns_are_not_even_read(self, throne, session_id):
        """No statement of list, detail or confirmation names what is sealed."""
        with CaptureQueriesContext(connection) as queries:
            throne.get(SESSIONS)
            throne.get(detail_url(session_id))
            throne.post(revoke_url(session_id))

        naming = [query["sql"] for query in queries if "key_digest" in query["sql"]]
        # One look-up of the session that asks, for each request.
        assert len(naming) == 3
        assert all('"key_digest" = ' in sql.replace("`", '"') for sql in naming)

    def test_hostile_texts_are_escaped_everywhere(self, throne):
        """Neither a browser's name nor an address nor a user's name is markup."""
        person = UserFactory(username='<img src=x onerror="x">')
        row = SessionRowFactory(
            user=person, user_agent=HOSTILE, ip_address='"><script>3</script>'
        )
        EventFactory(
            user=person,
            session_id=row.pk,
            actor="<script>4</script>",
            user_agent=HOSTILE,
            detail={"note": "<script>5</script>"},
        )
        event = SessionEvent.objects.get(session_id=row.pk)
        pages = [
            throne.get(SESSIONS),
            throne.get(detail_url(row.pk)),
            throne.get(f"{SESSIONS}{row.pk}/history/"),
            throne.post(SESSIONS, selection(row.pk)),
            throne.post(revoke_url(row.pk)),
            throne.get(EVENTS),
            throne.get(f"{EVENTS}{event.pk}/change/"),
        ]

        for page in pages:
            text = page.content.decode()
            assert page.status_code == 200
            assert "<img src=x" not in text
            for number in range(1, 6):
                assert f"<script>{number}" not in text
                assert f"<script>alert({number})" not in text
            assert 'href="javascript:' not in text
            assert '"onx=' not in text


class TestRevoke:
    def test_asked_first_then_done(self, user, desk, sign_in, is_signed_in):
        """The first POST names what will end; the second ends it, at once."""
        browser = sign_in(user)

        question = desk.post(SESSIONS, selection(browser.session_id))

        assert "Revoke 1 session?" in question.content.decode()
        assert is_signed_in(browser)

        desk.post(SESSIONS, confirmed(browser.session_id))

        assert not is_signed_in(browser)
        assert is_signed_in(desk)

    def test_history_names_actor_target_and_reason(
        self, user, desk, support, session_id
    ):
        """The audit row says who ended whose session."""
        desk.post(SESSIONS, confirmed(session_id))

        event = SessionEvent.objects.get(kind="revoked")
        assert event.actor == support.username
        assert event.user == user
        assert event.session_id == session_id
        assert Session.objects.get(pk=session_id).end_reason == "revoked"

    @pytest.mark.parametrize("way", ["action", "button"])
    def test_history_names_the_address_of_who_revoked(self, desk, session_id, way):
        """The audit row is from where staff sit; whose session it was is beside it."""
        url = SESSIONS if way == "action" else revoke_url(session_id)
        desk.post(url, confirmed(session_id))

        event = SessionEvent.objects.get(kind="revoked")
        assert event.ip_address == "192.0.2.50"
        assert event.detail["session_client"]["ip_address"] == "192.0.2.7"

    def test_only_the_selected_end(self, user, desk):
        """What was not ticked stays."""
        first, second = (SessionFactory(user=user).public_id for _ in range(2))

        desk.post(SESSIONS, confirmed(first))

        assert not is_live(first)
        assert is_live(second)

    def test_all_sessions_of_the_users_end(self, user, desk, session_id):
        """The second action follows the user to the sessions nobody ticked."""
        other = SessionFactory(user=user).public_id
        foreign = SessionFactory(user=UserFactory()).public_id

        question = desk.post(SESSIONS, selection(session_id, action="revoke_users"))

        assert "Revoke 2 sessions" in question.content.decode()
        assert is_live(other)

        desk.post(SESSIONS, confirmed(session_id, action="revoke_users"))

        assert not is_live(session_id)
        assert not is_live(other)
        assert is_live(foreign)

    def test_selecting_across_pages_ends_what_the_filter_shows(self, user, desk):
        """Beyond the page that is shown, the filter says what is meant."""
        ids = [SessionRowFactory(user=user).pk for _ in range(60)]
        foreign = SessionFactory(user=UserFactory()).public_id
        url = f"{SESSIONS}?user__exact={user.pk}"
        sent = {"select_across": "1"}

        question = desk.post(url, selection(ids[0], **sent))

        assert "Revoke 60 sessions?" in question.content.decode()

        desk.post(url, confirmed(ids[0], **sent))

        assert Session.objects.filter(pk__in=ids, end_reason="revoked").count() == 60
        assert is_live(foreign)

    def test_button_on_the_page_of_one_session(self, desk, session_id):
        """The button leads to the question, and its answer ends the session."""
        page = desk.get(detail_url(session_id)).content.decode()
        assert f'formaction="{revoke_url(session_id)}"' in page

        question = desk.post(revoke_url(session_id))
        assert "Revoke 1 session?" in question.content.decode()
        assert is_live(session_id)

        response = desk.post(revoke_url(session_id), {"confirmed": "yes"})
        assert response["Location"] == SESSIONS
        assert not is_live(session_id)

    @pytest.mark.parametrize("whole", [{}, {"whole_user": "Revoke all"}])
    def test_list_keeps_its_filter_over_the_page_of_one(self, user, desk, whole):
        """From a filtered list to a session, revoked, and back: the filter holds."""
        session_id = SessionFactory(user=user).public_id
        query = f"user__exact={user.pk}"
        (link,) = re.findall(
            rf'href="([^"]*{session_id}[^"]*)"',
            desk.get(f"{SESSIONS}?{query}").content.decode(),
        )
        page = desk.get(html.unescape(link)).content.decode()
        (action, *_) = re.findall(r'formaction="([^"]*)"', page)
        action = html.unescape(action)

        assert f"{SESSIONS}?{query}" in desk.post(action, whole).content.decode()

        response = desk.post(action, {**whole, "confirmed": "yes"})
        assert response["Location"] == f"{SESSIONS}?{query}"

    def test_button_for_all_of_the_user(self, user, desk, session_id):
        """The other button on the page ends every session of its user."""
        other = SessionFactory(user=user).public_id
        whole = {"whole_user": "Revoke all"}

        question = desk.post(revoke_url(session_id), whole)
        asked = f"Revoke all 2 sessions of {user.username}?"
        assert asked in question.content.decode()
        assert 'name="whole_user"' in question.content.decode()

        desk.post(revoke_url(session_id), {**whole, "confirmed": "yes"})
        assert not is_live(session_id)
        assert not is_live(other)

    def test_ended_session_has_no_button(self, desk, session_id):
        """What is over can't be revoked again."""
        lifecycle.end(session_id)

        page = desk.get(detail_url(session_id)).content.decode()

        assert "formaction" not in page

    def test_revoking_what_ended_meanwhile_is_harmless(self, desk, session_id):
        """Somebody was quicker: nothing happens twice."""
        lifecycle.end(session_id)

        question = desk.post(revoke_url(session_id))
        desk.post(revoke_url(session_id), {"confirmed": "yes"})

        assert "None of these sessions is live" in question.content.decode()
        assert SessionEvent.objects.filter(kind="revoked").count() == 1

    def test_own_session_is_pointed_out(self, desk, session_id, is_signed_in):
        """Before staff sign themselves out they are told."""
        own = desk.post(SESSIONS, selection(desk.session_id, session_id))
        foreign = desk.post(SESSIONS, selection(session_id))

        assert "this is your own session" in own.content.decode()
        assert "your own session" not in foreign.content.decode()

        desk.post(SESSIONS, confirmed(desk.session_id))
        assert not is_signed_in(desk)

    def test_anonymous_session_goes_too(self, desk):
        """A session of nobody leaves no history: its row is gone."""
        anonymous = SessionFactory(user=None).public_id

        desk.post(SESSIONS + "?state=anonymous", confirmed(anonymous))

        assert not Session.objects.filter(pk=anonymous).exists()


class TestDetail:
    def test_says_in_words_and_for_how_long(self, user, desk):
        """Level and methods are words, and both deadlines are there."""
        session = SessionFactory(user=user)

        page = desk.get(detail_url(session.public_id)).content.decode()

        for text in ("1, one factor", "password", "Ends at the latest"):
            assert text in page
        latest = session.authenticated_at + timedelta(hours=12)
        assert date_format(latest, "DATETIME_FORMAT") in page

    def test_no_limit_is_said(self, user, desk, settings):
        """A site without an absolute timeout reads so."""
        settings.SECURE_SESSIONS = {"ABSOLUTE_TIMEOUT": None}
        session_id = SessionFactory(user=user).public_id

        assert "no limit" in desk.get(detail_url(session_id)).content.decode()

    def test_ended_session_has_no_deadline(self, desk, session_id):
        """What is over ends at no time any more."""
        lifecycle.end(session_id)

        page = desk.get(detail_url(session_id)).content.decode()

        assert "Ends at the latest" in page
        assert "no limit" not in page


def links(page):
    """Return the addresses of the links above an object, by their texts."""
    return {text: html.unescape(url) for url, text in page.context["links"]}


class TestLinks:
    def test_user_session_and_event_lead_to_each_other(self, user, throne):
        """Each page is one click from the next, and each click arrives."""
        session = SessionFactory(user=user)
        event = SessionEvent.objects.get(session_id=session.public_id)

        of_session = links(throne.get(detail_url(session.public_id)))
        of_event = links(throne.get(f"{EVENTS}{event.pk}/change/"))
        of_user = links(throne.get(f"/admin/auth/user/{user.pk}/change/"))

        assert of_session["User"] == f"/admin/auth/user/{user.pk}/change/"
        assert of_event["Session"] == detail_url(session.public_id)
        assert of_event["User"] == of_session["User"]
        assert listed(throne.get(of_user["Sessions"])) == {session.public_id}
        for url in (*of_session.values(), *of_event.values(), *of_user.values()):
            assert throne.get(url).status_code == 200

    def test_nobody_is_led_where_they_may_not_go(self, desk, session_id):
        """Support, who may see sessions alone, is offered sessions alone."""
        assert links(desk.get(detail_url(session_id))).keys() == {
            "All sessions of this user"
        }

    def test_history_outlives_what_it_links_to(self, throne, user):
        """An event of a session and a user that are gone has no dead link."""
        event = EventFactory(session_id="5e551074-ab5e-4b1d-8000-00000000000a")

        page = throne.get(f"{EVENTS}{event.pk}/change/")

        assert page.status_code == 200
        assert links(page) == {}


class TestPermissions:
    def test_get_never_revokes(self, desk, session_id):
        """A link, followed or loaded as an image, is refused."""
        response = desk.get(revoke_url(session_id), {"confirmed": "yes"})

        assert response.status_code == 405
        assert is_live(session_id)

    @pytest.mark.parametrize("url", [SESSIONS, "detail"])
    def test_forged_request_is_refused(self, support, sign_in, session_id, url):
        """Without the token of the admin's own form nothing ends."""
        careful = sign_in(support, enforce_csrf_checks=True)
        url = revoke_url(session_id) if url == "detail" else url

        response = careful.post(url, confirmed(session_id))

        assert response.status_code == 403
        assert is_live(session_id)

    @pytest.mark.parametrize("action", ["revoke_selected", "revoke_users"])
    def test_who_may_only_look_can_not_revoke(
        self, onlooker, sign_in, session_id, action
    ):
        """Neither the actions nor the page of one session obey a forged POST."""
        browser = sign_in(onlooker)
        sent = confirmed(session_id, action=action)

        assert browser.post(SESSIONS, sent).status_code == 403
        assert browser.post(revoke_url(session_id), sent).status_code == 403
        assert is_live(session_id)

    def test_who_may_only_look_is_offered_nothing(self, onlooker, sign_in, session_id):
        """The list has no actions and the page no button."""
        browser = sign_in(onlooker)

        assert "revoke_selected" not in browser.get(SESSIONS).content.decode()
        assert "formaction" not in browser.get(detail_url(session_id)).content.decode()

    def test_staff_without_permission_see_nothing(self, sign_in, session_id):
        """To be staff is not enough to read where people are."""
        browser = sign_in(UserFactory(is_staff=True))

        for url in (SESSIONS, detail_url(session_id), EVENTS, FACTORS):
            assert browser.get(url).status_code == 403
        assert browser.post(revoke_url(session_id)).status_code == 403

    @pytest.mark.parametrize("base", [SESSIONS, EVENTS, FACTORS])
    def test_nothing_is_added_changed_or_deleted(self, throne, base, user):
        """Not even by a superuser: rows change through the verbs alone."""
        session_id = SessionFactory(user=user).public_id
        give_totp(user)
        pk = {
            SESSIONS: session_id,
            EVENTS: SessionEvent.objects.first().pk,
            FACTORS: user.authenticators.get().pk,
        }[base]

        for path in ("add/", f"{pk}/change/", f"{pk}/delete/"):
            assert throne.post(base + path, {"post": "yes"}).status_code == 403
        throne.post(base, confirmed(session_id, action="delete_selected"))

        assert is_live(session_id)
        assert user.authenticators.count() == 1
        assert SessionEvent.objects.filter(user=user).exists()

    def test_selection_that_is_no_id_is_refused(self, desk, session_id):
        """A made-up selection is a 400, not a failure."""
        response = desk.post(SESSIONS, confirmed("nonsense"))

        assert response.status_code == 400

    def test_unknown_session_is_no_error(self, desk, session_id):
        """The page of a session that never was leads to the admin's start."""
        unknown = "00000000-0000-4000-8000-000000000000"

        assert desk.get(detail_url(unknown)).status_code == 302
        assert desk.get(f"{SESSIONS}{unknown}/history/").status_code == 302
        assert desk.post(revoke_url(unknown), {"confirmed": "y"}).status_code == 302


class TestSuperusers:
    """Staff can neither see nor end the sessions of a superuser."""

    def test_support_does_not_see_them(self, desk, throne):
        """Neither the list nor the page of the session is there for them."""
        assert throne.session_id not in listed(desk.get(SESSIONS + "?state=all"))
        assert desk.get(detail_url(throne.session_id)).status_code == 302
        assert desk.get(f"{SESSIONS}{throne.session_id}/history/").status_code == 302

    def test_support_can_not_end_them(self, desk, throne, superuser, is_signed_in):
        """No way of revoking reaches a superuser's session."""
        for action in ("revoke_selected", "revoke_users"):
            desk.post(SESSIONS, confirmed(throne.session_id, action=action))
            desk.post(
                f"{SESSIONS}?user__exact={superuser.pk}",
                confirmed(desk.session_id, action=action, select_across="1"),
            )
        for whole in ({}, {"whole_user": "1"}):
            sent = {"confirmed": "yes", **whole}
            desk.post(revoke_url(throne.session_id), sent)

        assert is_signed_in(throne)

    def test_superuser_sees_and_ends_all(self, throne, sign_in, is_signed_in):
        """Another superuser's session is in reach of a superuser."""
        other = sign_in(UserFactory(is_staff=True, is_superuser=True))
        assert other.session_id in listed(throne.get(SESSIONS))

        throne.post(SESSIONS, confirmed(other.session_id))

        assert not is_signed_in(other)


class TestDeletingUsers:
    def test_who_may_delete_users_may_delete_their_sessions(
        self, sign_in, user, session_id
    ):
        """Sessions and factors don't stand in the way of deleting their user."""
        give_totp(user)
        clerk = UserFactory(is_staff=True)
        clerk.user_permissions.set(
            Permission.objects.filter(codename__in=["delete_user", "view_user"])
        )
        browser = sign_in(clerk)

        browser.post(f"/admin/auth/user/{user.pk}/delete/", {"post": "yes"})

        assert not type(user).objects.filter(pk=user.pk).exists()
        assert SessionEvent.objects.filter(kind="user_deleted").count() == 1


class TestEvents:
    def test_events_are_listed_with_who_and_where(self, user, onlooker, sign_in):
        """A row says what happened, to whom, by whom and from where."""
        session = SessionFactory(user=user, ip="203.0.113.9")
        lifecycle.end(session.public_id, actor="margit")

        text = sign_in(onlooker).get(EVENTS).content.decode()

        for expected in (
            "Signed in",
            "Signed out: session revoked",
            user.username,
            "margit",
            "203.0.113.9",
        ):
            assert expected in text

    def test_filters_and_search(self, user, throne):
        """Kind, date, name, address and session id find events."""
        session = SessionFactory(user=user, ip="203.0.113.9")
        lifecycle.end(session.public_id, actor="margit")
        EventFactory(kind="login_failed", username="nobody")

        def kinds(query):
            found = throne.get(EVENTS, query).context["cl"].result_list
            return sorted(event.kind for event in found)

        assert kinds({"kind": "revoked"}) == ["revoked"]
        assert kinds({"q": user.username}) == ["login", "revoked"]
        assert kinds({"q": "margit"}) == ["revoked"]
        assert kinds({"q": "nobody"}) == ["login_failed"]
        assert kinds({"q": "203.0.113"}) == ["login", "revoked"]
        assert kinds({"q": str(session.public_id)}) == ["login", "revoked"]
        assert kinds({"q": str(session.public_id)[:8]}) == ["login", "revoked"]
        assert kinds({"q": user.email}) == ["login", "revoked"]
        assert kinds({"user__exact": user.pk}) == ["login", "revoked"]
        tomorrow = timezone.now() + timedelta(days=1)
        assert kinds({"at__gte": str(tomorrow)}) == []

    @pytest.mark.parametrize("query", ["detail__icontains=a", "user__password__gt=a"])
    def test_other_columns_can_not_be_asked_about(self, throne, query):
        """A filter nobody offers is refused."""
        assert throne.get(f"{EVENTS}?{query}").status_code == 400

    def test_number_of_queries_does_not_follow_the_number_of_rows(self, throne):
        """A hundred events of a hundred users cost what ten do."""
        counts = []
        for total in (10, 100):
            while SessionEvent.objects.count() < total:
                EventFactory(user=UserFactory())
            with CaptureQueriesContext(connection) as queries:
                throne.get(EVENTS + "?all=")
            counts.append(len(queries))

        assert counts[0] == counts[1] <= 4

    def test_detail_is_for_reading(self, throne, session_id):
        """The page of an event shows it and offers no change."""
        event = SessionEvent.objects.get(session_id=session_id)

        page = throne.get(f"{EVENTS}{event.pk}/change/").content.decode()

        assert str(session_id) in page
        assert f"Signed in, {date_format(event.at, 'SHORT_DATETIME_FORMAT')}" in page
        assert 'name="_save"' not in page


class TestFactors:
    def test_factors_are_listed_without_their_secrets(self, user, throne):
        """Which factor, whose, since when; nothing of what it holds."""
        secret = give_totp(user)
        factor = user.authenticators.get()

        pages = [
            throne.get(FACTORS),
            throne.get(FACTORS, {"q": user.username}),
            throne.get(f"{FACTORS}{factor.pk}/change/"),
        ]

        for page in pages:
            text = page.content.decode()
            assert page.status_code == 200
            assert "phone" in text
            assert secret not in text
            assert bytes(factor.secret).hex() not in text
            assert "last_step" not in text

    @pytest.mark.parametrize(
        "query", ["secret__contains=a", "last_step__gt=1", "credential_digest__gt=a"]
    )
    def test_secret_columns_can_not_be_asked_about(self, throne, query):
        """A filter over a secret is refused."""
        assert throne.get(f"{FACTORS}?{query}").status_code == 400
