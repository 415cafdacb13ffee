"""URLs of the test site."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from django_secure_sessions.admin import SessionsLinkMixin
from django_secure_sessions.decorators import aal_required, recent_auth_required


def home(request: HttpRequest) -> HttpResponse:
    """Answer without a look at the session."""
    return HttpResponse("home")


class LinkedUserAdmin(SessionsLinkMixin, UserAdmin):
    """The admin of users as a site has it that follows our documentation."""


admin.site.unregister(User)
admin.site.register(User, LinkedUserAdmin)

urlpatterns = [
    path("", home, name="home"),
    path("admin/", admin.site.urls),
    path("login/", auth_views.LoginView.as_view(), name="login"),
    path("logout/", auth_views.LogoutView.as_view(), name="logout"),
    path("vault/", aal_required()(home)),
    path("fresh/", recent_auth_required()(home)),
    path("account/", include("django_secure_sessions.urls")),
]
