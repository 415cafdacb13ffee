"""The smallest site that knows its users, for a real server to serve."""

from __future__ import annotations

import os
from typing import Any

from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")


def whoami(request: HttpRequest) -> HttpResponse:
    """Answer with the name of whoever is signed in."""
    return HttpResponse(request.user.get_username())


async def awhoami(request: HttpRequest) -> HttpResponse:
    """See whoami()."""
    user: Any = await request.auser()
    return HttpResponse(user.get_username())


urlpatterns = [path("sync/", whoami), path("async/", awhoami)]

wsgi = get_wsgi_application()
asgi = get_asgi_application()
