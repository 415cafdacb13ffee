"""Addresses of the second factor, below ``mfa/``."""

from __future__ import annotations

from django.urls import path

from . import factors, keys, verify

urlpatterns = [
    path("", factors.overview, name="mfa"),
    path("verify/", verify.verify_login, name="mfa_verify"),
    path(
        "verify/challenge/",
        verify.challenge,
        {"purpose": verify.VerifyView.purpose},
        name="mfa_verify_challenge",
    ),
    path("confirm/", verify.step_up, name="mfa_step_up"),
    path(
        "confirm/challenge/",
        verify.challenge,
        {"purpose": verify.StepUpView.purpose},
        name="mfa_step_up_challenge",
    ),
    path("app/add/", factors.add_app, name="mfa_totp_add"),
    path("key/add/", keys.add_key, name="mfa_key_add"),
    path("key/add/challenge/", keys.registration_options, name="mfa_key_challenge"),
    path("recovery/", factors.recovery_codes, name="mfa_recovery"),
    path("<uuid:factor_id>/rename/", factors.rename, name="mfa_rename"),
    path("<uuid:factor_id>/remove/", factors.remove, name="mfa_remove"),
    path(
        "devices/<uuid:device_id>/forget/",
        factors.forget_device,
        name="mfa_forget_device",
    ),
]
