"""The JSON API: who am I, and how busy is the site."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Count
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from django_secure_sessions.decorators import role_required, session_required
from django_secure_sessions.http import SecureRequest
from django_secure_sessions.models import Session, SessionEvent
from django_secure_sessions.state import EventKind

from .facts import session_facts


@require_GET
@session_required
def profile(request: SecureRequest) -> JsonResponse:
    """Return the signed-in user and this session's facts."""
    return JsonResponse(
        {
            "user": {
                "username": request.user.get_username(),
                "role": request.session.role,
            },
            "session": session_facts(request)[0].as_json(),
        }
    )


@require_GET
@role_required("admin")
def stats(request: HttpRequest) -> JsonResponse:
    """Return counts over all sessions. For admins."""
    now = timezone.now()
    since = now - timedelta(days=1)
    live = Session.objects.live(now)
    ended = Session.objects.ended().filter(ended_at__gte=since)
    failed = SessionEvent.objects.filter(kind=EventKind.LOGIN_FAILED, at__gte=since)
    reasons = ended.values_list("end_reason").annotate(Count("id")).order_by()
    return JsonResponse(
        {
            "live_sessions": live.count(),
            "users_online": live.values("user").distinct().count(),
            "last_24_hours": {
                "ended": dict(reasons),
                "failed_logins": failed.count(),
            },
        }
    )
