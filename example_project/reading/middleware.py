"""One header: what a page of this site may load."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin


class ContentSecurityPolicyMiddleware(MiddlewareMixin):
    """
    Send ``CONTENT_SECURITY_POLICY`` with every response.

    Django 6.0 brings its own middleware for this; the example also runs on 5.2.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        super().__init__(get_response)
        self.policy = "; ".join(
            f"{directive} {sources}"
            for directive, sources in settings.CONTENT_SECURITY_POLICY.items()
        )

    def process_response(
        self, request: HttpRequest, response: HttpResponse
    ) -> HttpResponse:
        """Add the header, unless the view set its own."""
        # Django's debug pages are made of inline styles and scripts.
        if settings.DEBUG and response.status_code in {404, 500}:
            return response
        response.headers.setdefault("Content-Security-Policy", self.policy)
        return response
