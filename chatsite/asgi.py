"""The ASGI application: HTTP to Django, sockets to the consumer; services start with the first."""

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatsite.settings")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter

from chat import services
from chat.delivery.routing import websocket

_router = ProtocolTypeRouter({"http": django_application, "websocket": websocket})


async def application(scope: Any, receive: Any, send: Any) -> None:
    services.ensure_started()
    await _router(scope, receive, send)
