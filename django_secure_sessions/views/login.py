"""Django's login page, told of second factors."""

from __future__ import annotations

from django.contrib.auth import SESSION_KEY
from django.contrib.auth import views as auth_views
from django.contrib.auth.forms import AuthenticationForm
from django.http import HttpResponse, HttpResponseRedirect
from django.utils import timezone

from django_secure_sessions.backends.base import TrackedSession
from django_secure_sessions.mfa import devices, factors, pending


class LoginView(auth_views.LoginView):
    """
    Takes the password and leads on to the second factor of whoever has one.

    Any login view does. This one calls ``login()`` of no half-done login, so that
    ``user_logged_in``, and ``last_login``, wait for the code.
    """

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        user, now, session = form.get_user(), timezone.now(), self.request.session
        token = self.request.COOKIES.get(devices.COOKIE)
        if (
            not isinstance(session, TrackedSession)
            or not factors.has_factor(user.pk)
            or devices.is_trusted(user, token, now)
        ):
            return super().form_valid(form)
        # As login() does: nothing of one user's session is left to another.
        if SESSION_KEY in session and not session.is_bound_to(user.pk):
            session.flush()
        elif SESSION_KEY not in session:
            session.cycle_key()
        pending.begin(session, user, user.backend, now)
        # The middleware adds where to show the second factor.
        return HttpResponseRedirect(self.get_success_url())
