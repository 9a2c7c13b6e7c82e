"""The Origin check on the socket, by the rule that Django's CSRF check uses for forms.

Channels' validators compare host names only, or a fixed list; a socket is accepted from the page's
own scheme, host and port, or from ``CSRF_TRUSTED_ORIGINS``. Browsers always send Origin with a
WebSocket; what sends none is no browser and brings no cookie that it was not given.
"""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host
from django.utils.http import is_same_domain

App = Callable[[Any, Any, Any], Awaitable[None]]


class SameOrigin:
    """ASGI middleware: refuses the handshake of a socket from elsewhere."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if allowed(
            headers.get(b"origin"), headers.get(b"host", ""), scope.get("scheme", "ws") == "wss"
        ):
            await self.app(scope, receive, send)
        else:
            await send({"type": "websocket.close"})


def allowed(origin: str | None, host: str, secure: bool) -> bool:
    """May a page of this origin open a socket that was asked for under this host?"""
    hosts = settings.ALLOWED_HOSTS
    if not validate_host(split_domain_port(host)[0], hosts):
        return False
    if origin is None:
        return True
    if origin == f"{'https' if secure else 'http'}://{host}":
        return True
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    for trusted in settings.CSRF_TRUSTED_ORIGINS:
        if "*" in trusted:
            wanted = urlsplit(trusted)
            if parts.scheme == wanted.scheme and is_same_domain(
                parts.netloc, wanted.netloc.lstrip("*")
            ):
                return True
    return False
