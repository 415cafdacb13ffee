"""A browser, as far as sessions are concerned: it keeps cookies and asks for pages."""

from __future__ import annotations

from asgiref.sync import async_to_sync
from django.conf import settings
from django.test import AsyncClient, Client
from django.utils.functional import cached_property

JSON = {"accept": "application/json"}


class _AsyncClient(AsyncClient):
    """Sends the headers of a test in place of its own, as `Client` does."""

    def _base_scope(self, **request):
        scope = super()._base_scope(**request)
        kept = scope["headers"].pop()
        headers = dict([kept, *scope["headers"]] if kept[1] else scope["headers"])
        scope["headers"] = list(headers.items())
        return scope


class Visitor:
    """
    One browser. `asgi` sends its requests through Django's ASGI handler.

    A view that raises is answered with a 500, as on a real site.
    """

    def __init__(self, *, asgi=False):
        self.asgi = asgi

    @cached_property
    def client(self):
        make = _AsyncClient if self.asgi else Client
        return make(raise_request_exception=False)

    def _send(self, method, *args, **kwargs):
        send = getattr(self.client, method)
        return (async_to_sync(send) if self.asgi else send)(*args, **kwargs)

    def get(self, path, **headers):
        """Headers are named as in Python: `user_agent="curl"`."""
        return self._send("get", path, headers=headers)

    def post(self, path, data=None, **headers):
        return self._send("post", path, data or {}, headers=headers)

    def enter(self, user, **headers):
        """Log in on a page, through `login()` or, under ASGI, `alogin()`."""
        response = self.get(f"/{'a' * self.asgi}enter/{user.pk}/", **headers)
        assert response.status_code == 200
        return response

    @property
    def user(self):
        """The primary key of who the site takes this browser for."""
        return self.get(f"/{'a' * self.asgi}show/").json()["user"]

    @property
    def data(self):
        """What the site put into this browser's session."""
        return self.get(f"/{'a' * self.asgi}show/").json()["data"]

    @property
    def key(self):
        """The session cookie, or `None`."""
        morsel = self.client.cookies.get(settings.SESSION_COOKIE_NAME)
        return (morsel.value or None) if morsel else None

    @key.setter
    def key(self, value):
        self.client.cookies[settings.SESSION_COOKIE_NAME] = value
