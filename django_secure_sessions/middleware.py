"""The session of each request: opened lazily, judged, saved or touched, answered."""

from __future__ import annotations

import logging
import re
import time
from functools import lru_cache, partial
from typing import Any, cast
from uuid import UUID

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import SESSION_KEY, get_user
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError
from django.http import HttpRequest
from django.http.request import HttpHeaders
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve
from django.utils import timezone
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.utils.http import http_date

from . import answers, lifecycle, request_user
from .backends.base import TrackedSession
from .client import identify
from .conf import conf
from .exceptions import SessionEnded, SessionLimitReached
from .mfa import impersonation, pending, room
from .mfa.enforcement import Duty, duty
from .state import ENROLMENT, PASSIVE, Demand, EndReason

logger = logging.getLogger("django_secure_sessions")

# What a save may be refused with; each has an answer.
_REFUSALS = (UpdateError, SessionLimitReached, DatabaseError)

# Around a cookie's name: all but visible ASCII, in whatever encoding it was read.
_DISGUISE = re.compile(r"^[^!-~]+|[^!-~]+$")


class SecureSessionMiddleware(SessionMiddleware):
    """
    Replaces ``SessionMiddleware``, and is one for Django's checks (admin.E410).

    A request that does not look at its session costs nothing and gets no ``Vary``.
    Under ASGI it runs natively: a thread is used for a statement, not for a request.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        if not issubclass(self.SessionStore, TrackedSession):
            raise ImproperlyConfigured(
                f"SecureSessionMiddleware can't work with SESSION_ENGINE = "
                f"{settings.SESSION_ENGINE!r}. Use "
                f"'django_secure_sessions.backends.db' or '.cached_db'."
            )

    def __call__(self, request: HttpRequest) -> Any:
        if self.async_mode:
            return self.__acall__(request)
        self.process_request(request)
        token = lifecycle.serving(request.session)  # type: ignore[arg-type]
        try:
            response: Any = _held_back(request)
            if response is None:
                response = self.get_response(request)
            return self.process_response(request, response)
        finally:
            lifecycle.served(token)

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        self.process_request(request)
        token = lifecycle.serving(request.session)  # type: ignore[arg-type]
        try:
            response = None
            if _may_be_held_back(request):
                response = await sync_to_async(_held_back)(request)
            if response is None:
                response = await cast("Any", self.get_response(request))
            return await self.aprocess_response(request, response)
        finally:
            lifecycle.served(token)

    def process_request(self, request: HttpRequest) -> None:
        session: Any = self.SessionStore(_session_key(request))
        session.attach(partial(identify, request))
        request.session = session

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponseBase | None:
        """Answer a refusal that a view let through."""
        session = request.session
        if isinstance(exception, (SessionEnded, SessionLimitReached)):
            return _refused(request, exception)
        if isinstance(exception, DatabaseError) and session.failed:  # type: ignore[attr-defined]
            return _unavailable(request, exception)
        return None

    def process_response(  # type: ignore[override]  # streams are responses too
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        if _was_left_alone(request):
            return response
        session: Any = request.session
        try:
            if session.suspended:
                response = _half_done(request, response)
            for step in _steps(request, response):
                getattr(session, step)()
        except _REFUSALS as error:
            return _after_refusal(request, response, error)
        return _dressed(request, response)

    async def aprocess_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """See process_response()."""
        if _was_left_alone(request):
            return response
        session: Any = request.session
        try:
            if session.suspended:
                response = await sync_to_async(_half_done)(request, response)
            for step in _steps(request, response):
                await getattr(session, f"a{step}")()
        except _REFUSALS as error:
            return await sync_to_async(_after_refusal)(request, response, error)
        return _dressed(request, response)


def _session_key(request: HttpRequest) -> str | None:
    """
    Return the session cookie, unless another one by that name may be planted.

    Django strips Unicode space from cookie names, so a neighbour domain can plant
    what passes for a ``__Host-`` cookie. Of two, which is ours can't be told: take
    none.
    """
    name = settings.SESSION_COOKIE_NAME
    if name not in request.COOKIES:
        return None
    header = request.META.get("HTTP_COOKIE", "")
    if header.count(name) == 1 and f"; {name}=" in f"; {header}":
        return request.COOKIES[name]
    parts = header.split(";")
    sent = [part.partition("=")[0].strip(" \t") for part in parts if name in part]
    alike = [spelled for spelled in sent if _DISGUISE.sub("", spelled) == name]
    if alike not in ([], [name]):
        logger.warning("A cookie by the name of the session's was planted; took none.")
        # Out of sight, so that ours isn't deleted for what a neighbour did.
        del request.COOKIES[name]
        return None
    return request.COOKIES[name]


def _was_left_alone(request: HttpRequest) -> bool:
    """Whether nobody looked at the session, so that the response is complete."""
    session: Any = request.session
    if session.accessed or session.modified or session.failed:
        return False
    if session.session_key is None and settings.SESSION_COOKIE_NAME in request.COOKIES:
        return False  # what can't be a key is taken away unseen, as Django does
    return not settings.SESSION_SAVE_EVERY_REQUEST


def _half_done(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """
    Replace what a login view says to a user who has a second factor to show.

    Only now is it known whether somebody logged in, or acts as the user.
    """
    session: Any = request.session
    if response.status_code >= 500:
        return response
    if impersonation.admit(session):
        # The middleware around us finds whom the request was taken from.
        request_user.give(request, session.login_user)
        return response
    pending.record(session.login_user, identify(request), timezone.now())
    # 401 is how an API says that its login has not finished.
    if response.status_code < 400 or response.status_code == 401:
        return answers.login_pending(request, response.get("Location"))
    return response


def _may_be_held_back(request: HttpRequest) -> bool:
    session: Any = request.session
    return session.session_key is not None and conf.mfa_required_for is not None


def _held_back(request: HttpRequest) -> HttpResponseBase | None:
    """
    Answer for a user who must have a second factor, and has yet to set it up.

    Such a user reaches the pages for that, and the way out. A session with a second
    factor costs no query here beside its own.
    """
    if not _may_be_held_back(request):
        return None
    session: Any = request.session
    if session.user_id is None or session.aal >= 2 or session.impersonator:
        return None
    if _leads_out(request):
        return None
    user: Any = get_user(request)
    if not user.is_authenticated:
        return None
    request._cached_user = user  # type: ignore[attr-defined]  # Django's own place
    owed = duty(user, session.aal, session.amr, timezone.now())
    if owed is Duty.ENROL:
        return answers.demanded(request, Demand.ENROLMENT)
    if owed is Duty.STEP_UP:
        return answers.demanded(request, Demand.FACTOR)
    return None


def _leads_out(request: HttpRequest) -> bool:
    try:
        match = resolve(request.path_info)
    except Resolver404:
        return False
    return getattr(match.func, ENROLMENT, False) or match.url_name == "logout"


def _steps(request: HttpRequest, response: HttpResponseBase) -> list[str]:
    """Name the session's methods to call, in order. No I/O."""
    session: Any = request.session
    wanted = session.modified or settings.SESSION_SAVE_EVERY_REQUEST
    if not (wanted or session.is_loaded):
        return []
    session.passive = session.passive or _is_passive(request)
    if response.status_code >= 500:
        # Half a login is none. Other data is kept as it was, as Django does.
        if session.is_new_login:
            return ["flush"]
        # A page that failed because the database is away: is it?
        return ["confirm_key"] if session.has_new_key else ["touch", "probe"]
    if _found_nobody(request):
        return ["drop_unusable_user"]
    if wanted and not session.is_empty():
        return ["save"]
    return ["touch"] if session.is_loaded else []


def _is_passive(request: HttpRequest) -> bool:
    header = conf.passive_header
    # Not request.headers: it copies every header of a request that needs none.
    if header and request.META.get(_meta_name(header)):
        return True
    match = request.resolver_match
    if match is None:
        return False
    return getattr(match.func, PASSIVE, False) or match.view_name in conf.passive_views


@lru_cache(maxsize=8)
def _meta_name(header: str) -> str:
    return HttpHeaders.to_wsgi_name(header) or ""


def _found_nobody(request: HttpRequest) -> bool:
    """Whether ``request.user`` was asked for and the session's user refused."""
    session: Any = request.session
    user = getattr(request, "_cached_user", getattr(request, "_acached_user", None))
    if user is None or user.is_authenticated or not session.is_loaded:
        return False
    if session.suspended:
        return False  # a login of this very request took the user out
    return session.user_id is not None


def _after_refusal(
    request: HttpRequest, response: HttpResponseBase, error: Exception
) -> HttpResponseBase:
    if isinstance(error, DatabaseError):
        return _unavailable(request, error)
    if isinstance(error, UpdateError) and not request.session.modified:
        return _dressed(request, response)  # nothing is lost with this save
    if response.status_code >= 400:
        # The page's own answer stands, and the cookie too: a transaction that was
        # rolled back may have made it good again. The next request will tell.
        patch_vary_headers(response, ("Cookie",))
        return response
    return _refused(request, error, response.get("Location"))


def _refused(
    request: HttpRequest, error: Exception, back: object = None
) -> HttpResponseBase:
    session: Any = request.session
    if isinstance(error, SessionLimitReached):
        request_user.take_away(request)
        if error.asks and (asked := _asked(request, back)) is not None:
            return asked
        refused = answers.limit_reached(request, error.limit, error.retry_at)
        if session.is_stored:
            # The visitor goes on as before, under the key the login had given.
            _set_cookie(session, refused)
        return refused
    reason = getattr(error, "reason", "")
    told = reason or "gone"
    logger.info("Session %s ended while its request ran: %s", _id_of(session), told)
    response = answers.session_ended(request, reason or EndReason.REVOKED.value)
    if reason and not session.by_previous_key and answers.reaches_a_person(request):
        _delete_cookie(response)
    return response


def _asked(request: HttpRequest, back: object) -> HttpResponseBase | None:
    """Let a login that found no room wait for it; ``None`` where nobody can choose."""
    session: Any = request.session
    # The login may be of another session, which code of the site saved.
    if SESSION_KEY not in session or not answers.has_choice_page():
        return None
    try:
        room.suspend(session, timezone.now())
    except UpdateError:
        return None
    except DatabaseError as error:
        return _unavailable(request, error)
    return _dressed(request, answers.login_pending(request, back))


def _id_of(session: Any) -> UUID | None:
    """Return the public id of the session, live or ended, as far as it was loaded."""
    if not session.is_loaded:
        return None
    ended = session.ended
    return session.public_id or (ended.id if ended else None)


def _unavailable(request: HttpRequest, error: Exception) -> HttpResponseBase:
    logger.error("The session store does not answer: %s", type(error).__name__)
    return answers.unavailable(request)


def _dressed(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Give the response its cookie, its ``Vary`` and, if need be, an explanation."""
    session: Any = request.session
    if session.failed and response.status_code >= 500:
        return answers.unavailable(request)
    if session.by_previous_key:
        # The browser has the new key, or is about to get it: don't take it away.
        patch_vary_headers(response, ("Cookie",))
        return response
    if session.is_empty():
        return _without_session(request, response)
    if session.accessed:
        patch_vary_headers(response, ("Cookie",))
    wanted = session.modified or settings.SESSION_SAVE_EVERY_REQUEST
    if wanted and (response.status_code < 500 or session.key_confirmed):
        _set_cookie(session, response)
    return response


def _without_session(
    request: HttpRequest, response: HttpResponseBase
) -> HttpResponseBase:
    session: Any = request.session
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        if session.accessed:
            patch_vary_headers(response, ("Cookie",))
        return response
    ended = session.ended if session.is_loaded else None
    if ended is not None and ended.reason in answers.ENDED_TEXTS:
        explained = answers.explain(request, response, ended.reason)
        if explained is None or not answers.reaches_a_person(request):
            # The cookie is kept until a refusal has told its owner why: a script
            # that polls must not take the reason from the next click.
            patch_vary_headers(response, ("Cookie",))
            return explained or response
        response = explained
    _delete_cookie(response)
    return response


def _set_cookie(session: Any, response: HttpResponseBase) -> None:
    max_age = expires = None
    if not session.get_expire_at_browser_close():
        max_age = session.get_expiry_age()
        expires = http_date(time.time() + max_age)
    response.set_cookie(
        settings.SESSION_COOKIE_NAME,
        session.session_key,
        max_age=max_age,
        expires=expires,
        domain=settings.SESSION_COOKIE_DOMAIN,
        path=settings.SESSION_COOKIE_PATH,
        secure=settings.SESSION_COOKIE_SECURE or None,  # type: ignore[arg-type]
        httponly=settings.SESSION_COOKIE_HTTPONLY or None,  # type: ignore[arg-type]
        samesite=settings.SESSION_COOKIE_SAMESITE,
    )
    # ASVS 14.3.2: no cache, shared or not, keeps a response that carries the key.
    patch_cache_control(response, private=True, no_store=True)


def _delete_cookie(response: HttpResponseBase) -> None:
    response.delete_cookie(
        settings.SESSION_COOKIE_NAME,
        path=settings.SESSION_COOKIE_PATH,
        domain=settings.SESSION_COOKIE_DOMAIN,
        samesite=settings.SESSION_COOKIE_SAMESITE,
    )
    patch_vary_headers(response, ("Cookie",))
