"""Views over a typed request, as a checker must see them. Never run."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from typing_extensions import assert_type

from django_secure_sessions.http import SecureRequest
from django_secure_sessions.state import Ended


def account(request: SecureRequest) -> HttpResponse:
    session = request.session
    assert_type(session.public_id, UUID | None)
    assert_type(session.user_id, int | str | None)
    assert_type(session.role, str)
    assert_type(session.created_at, datetime | None)
    assert_type(session.authenticated_at, datetime | None)
    assert_type(session.last_activity, datetime | None)
    assert_type(session.ip_address, str | None)
    assert_type(session.aal, int)
    assert_type(session.amr, tuple[str, ...])
    assert_type(session.ended, Ended | None)
    return HttpResponse(session.role)


def its_session_is_still_a_session_of_django(request: SecureRequest) -> None:
    request.session["theme"] = "dark"
    request.session.set_expiry(None)


def what_the_server_found_out_is_read_only(request: SecureRequest) -> None:
    request.session.role = "admin"  # type: ignore[misc]
    request.session.aal = 2  # type: ignore[misc]


def any_request_does_not_promise_it(request: HttpRequest) -> None:
    request.session.aal  # type: ignore[attr-defined]
