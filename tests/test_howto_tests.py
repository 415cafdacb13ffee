"""The example of docs/howto/test-a-site.rst. The guide leaves out the head."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth import get_user_model
from django.test import TestCase

from django_secure_sessions import lifecycle
from django_secure_sessions.state import EndReason
from django_secure_sessions.testing import (
    age_proof,
    assert_session_ended,
    enrol_totp,
    expire,
    login_with_second_factor,
    session_of,
)


class VaultTests(TestCase):
    def setUp(self):
        self.user = get_user_model().objects.create_user("ada", password="secret")

    def test_second_factor_opens_it(self):
        login_with_second_factor(self.client, self.user)

        assert self.client.get("/vault/").status_code == 200

    def test_password_alone_does_not(self):
        self.client.force_login(self.user)

        assert self.client.get("/vault/").status_code == 302

    def test_code_completes_the_login(self):
        app = enrol_totp(self.user)
        self.client.force_login(self.user)  # the password, and not yet the code
        self.client.post("/account/mfa/verify/", {"code": app.code()})

        assert self.client.get("/vault/").status_code == 200

    def test_old_proof_is_asked_for_anew(self):
        login_with_second_factor(self.client, self.user)
        age_proof(self.client, timedelta(minutes=16))

        self.assertRedirects(
            self.client.get("/fresh/"), "/account/mfa/confirm/?next=/fresh/"
        )

    def test_half_an_hour_away(self):
        login_with_second_factor(self.client, self.user)
        expire(self.client, EndReason.IDLE)
        response = self.client.get("/vault/", headers={"accept": "application/json"})

        assert response.json()["error"] == "session_expired"

    def test_my_page_ends_what_it_should(self):
        login_with_second_factor(self.client, self.user)
        session_id = session_of(self.client).id
        lifecycle.end_all(self.user)  # here, the page of your own
        self.client.get("/vault/")  # which tells why, and takes the cookie back

        assert_session_ended(session_id, EndReason.REVOKED)
