"""Addresses of the magazine, the reader's pages and the JSON API."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth import views as auth_views
from django.urls import path
from django.views.generic import RedirectView

from . import api, views
from .accounts import demo_logins

urlpatterns = [
    path("", views.home, name="home"),
    path("read/<slug:slug>/", views.article, name="article"),
    path("read/<slug:slug>/shelve/", views.shelve, name="shelve"),
    path("shelf/", views.shelf, name="shelf"),
    path("preferences/", views.preferences, name="preferences"),
    path("profile/", views.profile, name="profile"),
    path(
        "login/",
        auth_views.LoginView.as_view(
            template_name="reading/login.html",
            redirect_authenticated_user=True,
            extra_context=demo_logins() if settings.DEBUG else None,
        ),
        name="login",
    ),
    path(
        "logout/",
        auth_views.LogoutView.as_view(template_name="reading/logged_out.html"),
        name="logout",
    ),
    path(
        "profile/password/",
        auth_views.PasswordChangeView.as_view(
            template_name="reading/password.html", success_url="/profile/"
        ),
        name="password",
    ),
    # Asked for by pages that name no icon: the admin's, and JSON.
    path(
        "favicon.ico",
        RedirectView.as_view(url=f"{settings.STATIC_URL}reading/mark.svg"),
    ),
    path("api/profile", api.profile, name="api-profile"),
    path("api/admin/stats", api.stats, name="api-stats"),
]
