"""The types for views describe requests without changing them."""

from __future__ import annotations

from typing import get_type_hints

from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest

from django_secure_sessions.http import SecureRequest, SecureSession


def test_types_are_those_of_django_and_more():
    """A function for Django's request takes a SecureRequest, and so its session."""
    assert issubclass(SecureRequest, HttpRequest)
    assert issubclass(SecureSession, SessionBase)
    assert get_type_hints(SecureRequest) == {"session": SecureSession}


def test_types_add_nothing_at_run_time():
    """What only the engines know has no value here that could mislead."""
    assert not hasattr(SecureSession, "role")
    assert not hasattr(SecureRequest(), "session")
