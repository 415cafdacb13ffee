"""Addresses of the JSON API, below the site's ``account/api/``."""

from __future__ import annotations

from django.urls import path

from . import views

urlpatterns = [
    path("session/", views.status, name="api_status"),
    path("session/keep-alive/", views.keep_alive, name="api_keep_alive"),
    path("sessions/", views.sessions, name="api_sessions"),
    path(
        "sessions/end-others/",
        views.end_other_sessions,
        name="api_end_other_sessions",
    ),
    path("sessions/<uuid:session_id>/", views.end_session, name="api_session"),
    path("sessions/<uuid:session_id>/end/", views.end_session, name="api_end_session"),
    path("<path:elsewhere>", views.not_found),
]
