"""What every response gets: a request id, a strict Content-Security-Policy."""

import re
import secrets
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse

GetResponse = Callable[[HttpRequest], HttpResponse]

POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        # 'self' covers the page's own WebSocket in every current browser.
        "connect-src 'self'",
        "form-action 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)
REQUEST_ID = re.compile(r"[\w.-]{8,64}")


def request_id(get_response: GetResponse) -> GetResponse:
    """Name each request; a proxy's own name for it is kept when it is a plain word."""

    def middleware(request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        identity = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        request.request_id = identity  # type: ignore[attr-defined]
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=identity)
        response = get_response(request)
        response["X-Request-ID"] = identity
        return response

    return middleware


def content_security_policy(get_response: GetResponse) -> GetResponse:
    """No inline script, no inline style, nothing from elsewhere, on every page."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.setdefault("Content-Security-Policy", POLICY)
        return response

    return middleware
