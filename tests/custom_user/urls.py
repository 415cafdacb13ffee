"""The usual pages; a login names its user by UUID."""

from __future__ import annotations

from django.urls import path

from tests import pages

urlpatterns = [
    path("enter/<uuid:pk>/", pages.enter),
    path("aenter/<uuid:pk>/", pages.aenter),
    *pages.urlpatterns,
]
