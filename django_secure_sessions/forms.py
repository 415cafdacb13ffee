"""Forms: what a person shows to be believed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from .backends.base import TrackedSession
from .exceptions import AttemptsExhausted, CodeRejected, MalformedCode
from .mfa import factors, verify
from .models import Authenticator
from .state import ClientInfo

# Characters. Hashing anything longer serves no honest user.
PASSWORD_LENGTH = 4096
CODES = {Authenticator.Type.TOTP.value, Authenticator.Type.RECOVERY.value}


class ConfirmIdentityForm(forms.Form):
    """
    Ask for one proof, the password or for who has a second factor a code.

    A valid form has renewed the authentication of ``session``. ``method`` says what
    is asked for: ``"password"``, ``"code"``, or ``""`` when this user has nothing
    that a form can take. ``retry_at`` is set when there were too many attempts.
    """

    password = forms.CharField(
        label=_("Password"),
        strip=False,
        max_length=PASSWORD_LENGTH,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    code = forms.CharField(
        label=_("Code"),
        help_text=_("From your authenticator app, or one of your recovery codes."),
        max_length=64,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code"}),
    )

    def __init__(
        self,
        data: Any = None,
        *,
        session: TrackedSession,
        user: Any,
        client: ClientInfo,
    ) -> None:
        super().__init__(data)
        self.session, self.user, self.client = session, user, client
        self.is_exhausted = False
        self.retry_at: datetime | None = None
        self.method = _method(user)
        for name in list(self.fields):
            if name != self.method:
                del self.fields[name]

    @sensitive_variables()
    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.method:
            raise ValidationError(_("You can't confirm here that it is you."))
        if self.method in cleaned:
            try:
                self._show(self._answer(cleaned[self.method]))
            except MalformedCode:
                self.add_error(self.method, _("This is not a code."))
            except CodeRejected:
                self.add_error(self.method, _("This is not right. Please try again."))
            except AttemptsExhausted as error:
                self.is_exhausted, self.retry_at = True, error.retry_at
                self.add_error(None, _("Too many attempts. Please wait a while."))
        return cleaned

    @sensitive_variables()
    def _answer(self, typed: str) -> verify.Answer:
        if self.method == "password":
            return verify.Password(lambda: self.user.check_password(typed))
        try:
            return verify.parse_code(typed.strip())
        except MalformedCode:
            return verify.parse_recovery_code(typed)

    def _show(self, answer: verify.Answer) -> None:
        verify.step_up(
            self.session, self.user, answer, now=timezone.now(), client=self.client
        )


def _method(user: Any) -> str:
    if factors.has_factor(user.pk):
        return "code" if factors.kinds_of(user.pk) & CODES else ""
    return "password" if user.has_usable_password() else ""
