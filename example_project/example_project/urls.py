"""Every address of the example site."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("reading.urls")),
    path("account/", include("django_secure_sessions.urls")),
    path("admin/", admin.site.urls),
]
