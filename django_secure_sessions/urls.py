"""Addresses of a signed-in person's pages: ``include`` them below ``account/``."""

from __future__ import annotations

from django.urls import include, path

from .views import choosing, sessions

app_name = "secure_sessions"

urlpatterns = [
    path("sessions/", sessions.session_list, name="session_list"),
    path(
        "sessions/end-others/",
        sessions.end_other_sessions,
        name="end_other_sessions",
    ),
    path("sessions/choose/", choosing.choose_sessions, name="choose_sessions"),
    path("sessions/<uuid:session_id>/end/", sessions.end_session, name="end_session"),
    path("mfa/", include("django_secure_sessions.views.mfa.urls")),
    path("api/", include("django_secure_sessions.api.urls")),
]
