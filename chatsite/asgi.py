"""The ASGI application: HTTP to Django, sockets to the consumer; services start with the first."""

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatsite.settings")

import django

django.setup(set_prefix=False)

from channels.routing import ProtocolTypeRouter

from chat import services
from chat.delivery.routing import websocket
from chatsite.handler import OneHopHandler

_router = ProtocolTypeRouter({"http": OneHopHandler(), "websocket": websocket})


async def application(scope: Any, receive: Any, send: Any) -> None:
    services.ensure_started()
    await _router(scope, receive, send)
