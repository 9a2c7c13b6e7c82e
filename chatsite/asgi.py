"""The ASGI application: HTTP to Django, sockets to the consumer; services start with the first."""

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatsite.settings")

import django

django.setup(set_prefix=False)

from channels.routing import ProtocolTypeRouter
from django.conf import settings

from chat import services
from chat.delivery.routing import websocket
from chatsite.handler import OneHopHandler
from chatsite.proxies import TrustedProxies

_router = TrustedProxies(
    ProtocolTypeRouter({"http": OneHopHandler(), "websocket": websocket}),
    settings.TRUSTED_PROXIES,
)


async def application(scope: Any, receive: Any, send: Any) -> None:
    services.ensure_started()
    await _router(scope, receive, send)
