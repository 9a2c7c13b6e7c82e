"""The WebSocket's URL, behind the origin check and the session."""

from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from django.urls import path

from chat.delivery import echo
from chat.delivery.consumers import ConversationConsumer
from chat.delivery.origin import SameOrigin

websocket = SameOrigin(
    AuthMiddlewareStack(
        URLRouter(
            [
                path("ws/c/<uuid:conversation_id>/", ConversationConsumer.as_asgi()),
                path(echo.PATH, echo.EchoConsumer.as_asgi()),
            ]
        )
    )
)
