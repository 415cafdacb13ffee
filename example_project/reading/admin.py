"""Users in the admin, with a way to their sessions."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User

from django_secure_sessions.admin import SessionsLinkMixin

admin.site.unregister(User)


@admin.register(User)
class LinkedUserAdmin(SessionsLinkMixin, UserAdmin):
    """Django's own, and links to a user's sessions and events."""
