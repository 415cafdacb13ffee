"""A site that lets its staff delete sessions in an admin of its own."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.urls import include, path

from django_secure_sessions.admin import SessionAdmin
from django_secure_sessions.models import Session, SessionEvent
from tests.factories import SessionFactory

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

SESSIONS = "/own/django_secure_sessions/session/"


class DeletingAdmin(SessionAdmin):
    """Permits what ours does not."""

    def has_delete_permission(self, request, obj=None):
        return True


own_site = admin.AdminSite(name="own")
own_site.register(Session, DeletingAdmin)

urlpatterns = [
    path("own/", own_site.urls),
    path("account/", include("django_secure_sessions.urls")),
]


@pytest.mark.parametrize("whole_list", [False, True])
def test_deleting_is_revoking(superuser, sign_in, user, is_signed_in, whole_list):
    """A deleted session has ended, stays as history, and bears the actor's name."""
    victim, desk = sign_in(user), sign_in(superuser)
    other = SessionFactory(user=user).public_id
    pk = victim.session_id
    if whole_list:
        chosen = {"action": "delete_selected", "_selected_action": [str(pk)]}
        desk.post(SESSIONS, {**chosen, "post": "yes"})
    else:
        desk.post(f"{SESSIONS}{pk}/delete/", {"post": "yes"})

    row = Session.objects.get(pk=pk)
    assert not is_signed_in(victim)
    assert (row.end_reason, bytes(row.data)) == ("revoked", b"")
    assert SessionEvent.objects.get(kind="revoked", session_id=pk).actor == "root"
    assert Session.objects.get(pk=other).ended_at is None
