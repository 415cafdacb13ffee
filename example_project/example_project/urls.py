"""Every address of the example site."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

# Says why, where a session of the admin ended.
admin.site.login_template = "secure_sessions/admin/login.html"

urlpatterns = [
    path("", include("reading.urls")),
    path("account/", include("django_secure_sessions.urls")),
    path("admin/", admin.site.urls),
]
