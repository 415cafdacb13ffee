"""Security keys: only ours, only now, only once, and no copies."""

from __future__ import annotations

from datetime import timedelta

import pytest

from django_secure_sessions.exceptions import CodeRejected, MalformedCode
from django_secure_sessions.mfa import factors, webauthn
from django_secure_sessions.models import Authenticator
from tests.factories import UserFactory
from tests.mfa import NOON
from tests.security_key import SITE, Key, b64


@pytest.fixture
def key(user):
    """Return a key that is a factor of the user."""
    key = Key()
    challenge = webauthn.new_challenge(NOON)
    webauthn.register(user, key.create(challenge), challenge, SITE, "blue", NOON)
    return key


def later(seconds):
    return NOON + timedelta(seconds=seconds)


def use(user, answer, challenge, now=None, party=SITE):
    return webauthn.consume(user.pk, answer, challenge, party, now or later(2))


@pytest.fixture
def challenge(key):
    """Return a challenge that the key has not seen."""
    return webauthn.new_challenge(later(1))


class TestRegistration:
    def test_a_key_becomes_a_factor(self, user, key):
        """Named, confirmed, and asked for at the next login."""
        factor = Authenticator.objects.get()
        assert (factor.type, factor.name) == ("webauthn", "blue")
        assert factors.has_factor(user.pk)

    def test_options_exclude_known_keys(self, user, key):
        """The browser is told which keys are here already, and how to reach them."""
        options = webauthn.registration_options(
            user, SITE, webauthn.new_challenge(NOON)
        )
        (known,) = options["excludeCredentials"]
        assert known["id"] == b64(key.id)
        assert known["transports"] == ["usb"]
        assert user.username.encode().hex() not in options["user"]["id"]

    def test_an_answer_registers_once(self, user, key):
        """The same answer again, or the same key for somebody else, is refused."""
        challenge = webauthn.new_challenge(NOON)
        answer = key.create(challenge)
        for person in (user, UserFactory()):
            with pytest.raises(CodeRejected):
                webauthn.register(person, answer, challenge, SITE, "", NOON)
        assert Authenticator.objects.count() == 1

    @pytest.mark.parametrize(
        "party",
        [
            SITE._replace(origin="https://example.org"),
            SITE._replace(rp_id="example.org"),
        ],
    )
    def test_a_key_of_another_site_is_refused(self, user, party):
        """What was made for a phisher's page is of no use here."""
        challenge = webauthn.new_challenge(NOON)
        answer = Key().create(challenge, party)
        with pytest.raises(CodeRejected):
            webauthn.register(user, answer, challenge, SITE, "", NOON)

    def test_the_challenge_must_be_ours_and_fresh(self, user):
        """Neither another challenge nor one of six minutes ago."""
        asked, other = webauthn.new_challenge(NOON), webauthn.new_challenge(NOON)
        answer = Key().create(asked)
        with pytest.raises(CodeRejected):
            webauthn.register(user, answer, other, SITE, "", NOON)
        with pytest.raises(CodeRejected):
            webauthn.register(user, answer, asked, SITE, "", later(360))


class TestUse:
    def test_a_signature_proves(self, user, key, challenge):
        """The factor is returned, and its counter remembered."""
        factor = use(user, key.sign(challenge), challenge)
        factor.refresh_from_db()
        assert factor.sign_count == 1
        assert factor.last_used_at == later(2)

    def test_a_replay_is_refused(self, user, key, challenge):
        """The same signature, although everything about it is right."""
        answer = key.sign(challenge)
        use(user, answer, challenge)
        with pytest.raises(CodeRejected):
            use(user, answer, challenge)

    def test_a_replay_without_a_counter_is_refused(self, user, key, challenge):
        """Passkeys count nothing; the challenge still is good once."""
        answer = key.sign(challenge, count=0)
        use(user, answer, challenge)
        with pytest.raises(CodeRejected) as refused:
            use(user, answer, challenge)
        assert refused.value.why == "spent"

    def test_an_older_challenge_is_refused_after_a_newer(self, user, key, challenge):
        """Challenges rise, as the steps of codes do."""
        newer = webauthn.new_challenge(later(2))
        use(user, key.sign(newer, count=0), newer)
        with pytest.raises(CodeRejected):
            use(user, key.sign(challenge, count=0), challenge)

    def test_a_key_that_never_counts_is_fine(self, user, key, challenge):
        """0 and 0 again is what passkeys say."""
        use(user, key.sign(challenge, count=0), challenge)
        newer = webauthn.new_challenge(later(3))
        use(user, key.sign(newer, count=0), newer, later(4))

    @pytest.mark.parametrize("count", [5, 4, 0])
    def test_a_counter_that_does_not_rise_is_a_copy(self, user, key, challenge, count):
        """Refused, and told apart for the history."""
        use(user, key.sign(challenge, count=5), challenge)
        newer = webauthn.new_challenge(later(3))
        with pytest.raises(CodeRejected) as refused:
            use(user, key.sign(newer, count=count), newer, later(4))
        assert refused.value.why == "counter"
        assert Authenticator.objects.get().sign_count == 5

    def test_another_key_is_refused(self, user, key, challenge):
        """A signature of the wrong key under the right name."""
        with pytest.raises(CodeRejected):
            use(user, Key().sign(challenge), challenge)

    def test_the_key_of_another_user_is_refused(self, key, challenge):
        """Everybody's keys are their own."""
        with pytest.raises(CodeRejected):
            use(UserFactory(), key.sign(challenge), challenge)

    @pytest.mark.parametrize(
        "party",
        [
            SITE._replace(origin="https://example.org"),
            SITE._replace(rp_id="example.org"),
        ],
    )
    def test_a_signature_for_another_site_is_refused(self, user, key, challenge, party):
        """That is what makes keys proof against phishing."""
        with pytest.raises(CodeRejected):
            use(user, key.sign(challenge, party), challenge)

    def test_a_stale_challenge_is_refused(self, user, key, challenge):
        """Five minutes are enough to touch a key."""
        with pytest.raises(CodeRejected):
            use(user, key.sign(challenge), challenge, later(301))

    def test_a_disabled_key_is_refused(self, user, key, challenge):
        """Fifty failures put keys out of use as well."""
        factors.disable_all(user.pk, NOON)
        with pytest.raises(CodeRejected):
            use(user, key.sign(challenge), challenge)

    @pytest.mark.parametrize("field", ["clientDataJSON", "signature"])
    @pytest.mark.parametrize("value", [None, 1, "", "AAAA", [], "\u00e9"])
    def test_garbage_is_refused(self, user, key, challenge, field, value):
        """No shape of it is an error of ours."""
        answer = key.sign(challenge)
        answer["response"][field] = value
        with pytest.raises(CodeRejected):
            use(user, answer, challenge)

    def test_options_name_the_users_keys(self, user, key):
        """The browser asks for a key that can help, and for no other user's."""
        options = webauthn.authentication_options(
            user.pk, SITE, webauthn.new_challenge(NOON)
        )
        assert [known["id"] for known in options["allowCredentials"]] == [b64(key.id)]


@pytest.mark.parametrize(
    "answer", [None, 1, "", "[]", "{}", "{", {"id": 1}, "x" * 30_000, [{"id": "a"}]]
)
def test_what_is_no_answer_is_malformed(answer):
    """It costs no attempt."""
    with pytest.raises(MalformedCode):
        webauthn.parse(answer)
