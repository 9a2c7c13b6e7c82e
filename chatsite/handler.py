"""Django's ASGI handler with one hop to a thread per request, to a pool whose connections stay.

The views and the middleware are synchronous. Django's handler would run each middleware that can
be asynchronous on the loop, hop to a thread and back for each that cannot, and give every request
a thread of its own, with a new database connection. Here the whole chain runs in one go, in a
thread that has its connection already.
"""

import asyncio
import contextvars
from functools import partial

from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest, HttpResponseBase

from chat.api.completion import CompletionResponse
from chat.database import in_database

ALIVE = "/healthz"  # needs no database, and must not wait behind those that do


class OneHopHandler(ASGIHandler):
    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        # The context carries the language, the URLconf and the request id of the log.
        call = partial(contextvars.copy_context().run, self.get_response, request)
        if request.path_info == ALIVE:
            return await asyncio.to_thread(call)
        response = await in_database(call)
        if isinstance(response, CompletionResponse):
            await response.settle()  # its status waits for the first token
        return response
