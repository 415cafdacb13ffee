"""Every door a login can come through, and pages that need more than a password."""

from __future__ import annotations

import json

from django.contrib import admin
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    alogin,
    authenticate,
    get_user_model,
    login,
)
from django.contrib.auth import views as auth_views
from django.http import HttpResponse, JsonResponse
from django.urls import include, path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.http import require_POST

from django_secure_sessions.decorators import (
    AALRequiredMixin,
    RecentAuthRequiredMixin,
    aal_required,
    recent_auth_required,
    session_required,
)
from django_secure_sessions.views.login import LoginView
from tests.mfa import BACKEND


def enter(request, pk):
    """Log a user in as any code may, and say who the request then belongs to."""
    login(request, get_user_model().objects.get(pk=pk), BACKEND)
    return HttpResponse(f"in: {request.user.pk}")


def by_hand(request, pk):
    """Sign in as no code should: what ``login()`` writes, without ``login()``."""
    user = get_user_model().objects.get(pk=pk)
    request.session[SESSION_KEY] = str(user.pk)
    request.session[BACKEND_SESSION_KEY] = BACKEND
    request.session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    return HttpResponse("in")


async def aenter(request, pk):
    user = await get_user_model().objects.aget(pk=pk)
    await alogin(request, user, BACKEND)
    found = await request.auser()
    return HttpResponse(f"in: {found.pk} {request.user.pk}")


def enter_and_fail(request, pk):
    enter(request, pk)
    raise RuntimeError("after the login")


@require_POST
def api_login(request):
    """Log in from JSON, as an API does that was written by hand."""
    given = json.loads(request.body)
    user = authenticate(request, **given)
    if user is None:
        return JsonResponse({"error": "wrong"}, status=400)
    login(request, user)
    return JsonResponse({"user": request.user.pk})


def who(request):
    return JsonResponse({"user": request.user.pk})


async def awho(request):
    user = await request.auser()
    return JsonResponse({"user": user.pk})


def put(request, value):
    request.session["basket"] = value
    return HttpResponse(request.session["basket"])


def basket(request):
    return HttpResponse(request.session.get("basket", "empty"))


@session_required
def private(request):
    return HttpResponse("private")


@aal_required(2)
def vault(request):
    return HttpResponse("vault")


@aal_required(2)
async def avault(request):
    return HttpResponse("vault")


@recent_auth_required(minutes=5)
def fresh(request):
    return HttpResponse("fresh")


@recent_auth_required(minutes=5)
async def afresh(request):
    return HttpResponse("fresh")


class Vault(AALRequiredMixin, View):
    def get(self, request):
        return HttpResponse("vault")

    def post(self, request):
        return HttpResponse("stored")


class AVault(AALRequiredMixin, View):
    async def get(self, request):
        return HttpResponse("vault")


class Fresh(RecentAuthRequiredMixin, View):
    recent_minutes = 5

    def get(self, request):
        return HttpResponse("fresh")


@method_decorator(aal_required(2), name="dispatch")
class DecoratedVault(View):
    def get(self, request):
        return HttpResponse("vault")


urlpatterns = [
    path("", who, name="home"),
    path("admin/", admin.site.urls),
    path(
        "login/",
        auth_views.LoginView.as_view(template_name="admin/login.html"),
        name="login",
    ),
    path(
        "own/login/",
        LoginView.as_view(template_name="admin/login.html"),
        name="own_login",
    ),
    path("logout/", auth_views.LogoutView.as_view(), name="logout"),
    path(
        "reset/<uidb64>/<token>/",
        auth_views.PasswordResetConfirmView.as_view(
            post_reset_login=True,
            success_url="/reset/done/",
            template_name="admin/login.html",
            post_reset_login_backend=BACKEND,
        ),
        name="password_reset_confirm",
    ),
    path("enter/<int:pk>/", enter),
    path("aenter/<int:pk>/", aenter),
    path("by-hand/<int:pk>/", by_hand),
    path("enter-and-fail/<int:pk>/", enter_and_fail),
    path("api/login/", api_login),
    path("who/", who),
    path("awho/", awho),
    path("put/<value>/", put),
    path("basket/", basket),
    path("private/", private),
    path("vault/", vault),
    path("avault/", avault),
    path("fresh/", fresh),
    path("afresh/", afresh),
    path("class/vault/", Vault.as_view()),
    path("class/avault/", AVault.as_view()),
    path("class/fresh/", Fresh.as_view()),
    path("class/decorated/", DecoratedVault.as_view()),
    path("account/", include("django_secure_sessions.urls")),
]
