"""URLs and views that give a test a reason to look at its session."""

from __future__ import annotations

import asyncio

from asgiref.sync import sync_to_async
from django.contrib import admin
from django.contrib.auth import (
    alogin,
    alogout,
    aupdate_session_auth_hash,
    get_user_model,
    login,
    logout,
    update_session_auth_hash,
)
from django.contrib.auth import views as auth_views
from django.contrib.auth.decorators import login_not_required, login_required
from django.db import transaction
from django.http import Http404, HttpResponse, JsonResponse
from django.urls import include, path
from django.utils.decorators import method_decorator
from django.views import View

from django_secure_sessions import lifecycle
from django_secure_sessions.backends.owning import Proof
from django_secure_sessions.decorators import (
    RoleRequiredMixin,
    SessionRequiredMixin,
    aal_required,
    passive,
    recent_auth_required,
    role_required,
    session_required,
)

BACKEND = "django.contrib.auth.backends.ModelBackend"


def still(request):
    """Answer without a look at the session."""
    return HttpResponse("still")


async def astill(request):
    """Answer without a look at the session, and without a thread."""
    await asyncio.sleep(0)
    return HttpResponse("still")


def show(request):
    """Tell who asks, and what the session holds."""
    return JsonResponse({"user": request.user.pk, "data": plain(request.session)})


@login_not_required
def open_to_all(request):
    return show(request)


async def ashow(request):
    user = await request.auser()
    return JsonResponse({"user": user.pk, "data": plain(request.session)})


def plain(session):
    """Return what a site put in the session: without the keys of Django's auth."""
    return {name: value for name, value in session.items() if name[0] != "_"}


def put(request, name, value):
    request.session[name] = value
    return HttpResponse("put")


async def aput(request, name, value):
    await request.session.aset(name, value)
    return HttpResponse("put")


def enter(request, pk):
    """Log a user in, as any foreign path would."""
    login(request, get_user_model().objects.get(pk=pk), BACKEND)
    return HttpResponse("entered")


async def aenter(request, pk):
    user = await get_user_model().objects.aget(pk=pk)
    await alogin(request, user, BACKEND)
    return HttpResponse("entered")


def leave(request):
    logout(request)
    return HttpResponse("left")


async def aleave(request):
    await alogout(request)
    return HttpResponse("left")


def enter_and_fail(request, pk):
    enter(request, pk)
    raise RuntimeError("after the login")


def enter_save_and_fail(request, pk):
    enter(request, pk)
    request.session.save()
    raise RuntimeError("after the login was saved")


def enter_and_miss(request, pk):
    with transaction.atomic():
        enter(request, pk)
        raise Http404


def rotate_and_miss(request):
    with transaction.atomic():
        request.session.cycle_key()
        raise Http404


def rotate_and_fail(request):
    request.session.cycle_key()
    raise RuntimeError("after the rotation")


def step_up_and_fail(request):
    request.session.elevate(Proof(2, "pwd otp mfa"))
    raise RuntimeError("after the step-up")


@transaction.atomic
def step_up_and_roll_back(request):
    step_up_and_fail(request)


def rotate(request):
    request.session.cycle_key()
    return HttpResponse("rotated")


def flush(request):
    request.session.flush()
    return HttpResponse("flushed")


def expire_in(request, seconds):
    request.session.set_expiry(seconds)
    return HttpResponse("set")


def change_password(request):
    request.user.set_password("another horse")
    request.user.save()
    update_session_auth_hash(request, request.user)
    return HttpResponse("changed")


def activate(request):
    request.user.is_active = True
    request.user.save()
    return HttpResponse("activated")


def status(request, code):
    """Look at the session and answer with a status."""
    request.session.get("anything")
    return HttpResponse(str(code), status=code)


def end_and_put(request):
    """Do what another request might do at the same time, and then write."""
    lifecycle.end_all(request.user)
    request.session["a"] = "b"
    return HttpResponse("put")


def end_and_change_password(request):
    lifecycle.end_all(request.user)
    return change_password(request)


async def aend_and_change_password(request):
    user = await request.auser()
    await sync_to_async(lifecycle.end_all)(user)
    user.set_password("another horse")
    await user.asave()
    await aupdate_session_auth_hash(request, user)
    return HttpResponse("changed")


def end_put_and_miss(request):
    end_and_put(request)
    raise Http404


@passive
def poll(request):
    return HttpResponse(str(request.user.pk))


@session_required
def private(request):
    return HttpResponse("private")


@session_required
async def aprivate(request):
    return HttpResponse("private")


@role_required("editor", "staff")
def desk(request):
    return HttpResponse("desk")


@role_required("editor", "staff")
async def adesk(request):
    return HttpResponse("desk")


class Private(SessionRequiredMixin, View):
    def get(self, request):
        return HttpResponse("private")


class APrivate(SessionRequiredMixin, View):
    async def get(self, request):
        return HttpResponse("private")


class Desk(RoleRequiredMixin, View):
    required_roles = ("editor", "staff")

    def get(self, request):
        return HttpResponse("desk")


class ADesk(Desk):
    async def get(self, request):
        return HttpResponse("desk")


class AdminsOnly(RoleRequiredMixin, View):
    def get(self, request):
        return HttpResponse("admins")


class Open(View):
    def get(self, request):
        return HttpResponse("in")


class AOpen(View):
    async def get(self, request):
        return HttpResponse("in")


GATES = {
    "session": session_required,
    "role": role_required("user"),
    "level": aal_required(1),
    "recent": recent_auth_required(minutes=5),
}


def gated_views():
    """Yield each gate around a class: as a view, and on its `dispatch`."""
    for name, gate in GATES.items():
        for kind, view in (("", Open), ("a", AOpen)):
            yield path(f"{kind}view/{name}/", gate(view.as_view()))
            gated = method_decorator(gate, name="dispatch")(type(name, (view,), {}))
            yield path(f"{kind}dispatch/{name}/", gated.as_view())
            twice = method_decorator([gate, gate], name="dispatch")(
                type(name, (gated,), {})
            )
            yield path(f"{kind}twice/{name}/", twice.as_view())


urlpatterns = [
    *gated_views(),
    path("admin/", admin.site.urls),
    path("account/", include("django_secure_sessions.urls")),
    path(
        "login/",
        auth_views.LoginView.as_view(template_name="admin/login.html"),
        name="login",
    ),
    path("logout/", auth_views.LogoutView.as_view(), name="logout"),
    path("", still, name="home"),
    path("astill/", astill),
    path("show/", show),
    path("ashow/", ashow),
    path("open/", open_to_all),
    path("put/<name>/<value>/", put),
    path("aput/<name>/<value>/", aput),
    path("enter/<int:pk>/", enter),
    path("aenter/<int:pk>/", aenter),
    path("enter-and-fail/<int:pk>/", enter_and_fail),
    path("enter-save-and-fail/<int:pk>/", enter_save_and_fail),
    path("enter-and-miss/<int:pk>/", enter_and_miss),
    path("rotate-and-miss/", rotate_and_miss),
    path("rotate-and-fail/", rotate_and_fail),
    path("step-up-and-fail/", step_up_and_fail),
    path("step-up-and-roll-back/", step_up_and_roll_back),
    path("leave/", leave),
    path("aleave/", aleave),
    path("rotate/", rotate),
    path("flush/", flush),
    path("expire-in/<int:seconds>/", expire_in),
    path("change-password/", change_password),
    path("activate/", activate),
    path("end-and-put/", end_and_put),
    path("end-and-change-password/", end_and_change_password),
    path("aend-and-change-password/", aend_and_change_password),
    path("end-put-and-miss/", end_put_and_miss),
    path("status/<int:code>/", status),
    path("poll/", poll, name="poll"),
    path("private/", private),
    path("aprivate/", aprivate),
    path("desk/", desk),
    path("adesk/", adesk),
    path("guarded/", login_required(still)),
    path("class/private/", Private.as_view()),
    path("class/aprivate/", APrivate.as_view()),
    path("class/desk/", Desk.as_view()),
    path("class/adesk/", ADesk.as_view()),
    path("class/admins/", AdminsOnly.as_view()),
]
