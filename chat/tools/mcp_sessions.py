"""The connections to tool servers that one reply holds.

    async with Sessions() as sessions:
        text = await sessions.call(reach, "echo", {"text": "hello"})

A connection is opened at the first call of a server's tool and closed with the reply, so that
nothing that one reply did in a server is there for the next.
"""

import asyncio
import contextlib
from types import TracebackType
from typing import Any, Self

import anyio

from chat.tools.base import ToolFailed
from chat.tools.servers.reach import Reach
from chat.tools.servers.results import text_of
from chat.tools.servers.session import Session

# The loop keeps weak references to its tasks only.
_courtesies: set[asyncio.Task[None]] = set()


class Sessions:
    def __init__(self) -> None:
        self._open: dict[Reach, Session] = {}
        self._opened: list[Session] = []  # also those that are over, and may still be closing
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed = True
        for session in self._opened:
            session.close()  # all at once, also when we are cancelled while we wait
        await asyncio.gather(*(session.closed() for session in self._opened))

    def of(self, reach: Reach) -> Session:
        """The session with this server; a new one if there is none or it is over."""
        if self._closed:
            raise ToolFailed("The reply is over.")
        session = self._open.get(reach)
        if session is None or session.over:
            session = self._open[reach] = Session(reach)
            self._opened.append(session)
        return session

    async def call(self, reach: Reach, tool: str, arguments: dict[str, Any]) -> str:
        """What the tool returns, as text of bounded size.

        Raises:
            ToolFailed: also when the server says that the call failed.
        """
        result = await self.of(reach).ask(lambda session: _call(session, tool, arguments))
        return text_of(result, reach.secrets())


async def _call(session: Any, tool: str, arguments: dict[str, Any]) -> Any:
    from mcp import types

    # Not ``session.call_tool``: it asks for the list of tools first, and checks the result against
    # a schema of the server's with Python's own regular expressions.
    params = types.CallToolRequestParams(name=tool, arguments=arguments)
    request = types.ClientRequest(types.CallToolRequest(params=params))
    number = session._request_id  # which this request will have; nothing runs in between
    try:
        return await session.send_request(request, types.CallToolResult)
    except asyncio.CancelledError:
        # The protocol's courtesy: others may go on to use the session, so the server should know
        # that nobody waits for this. Not waited for, because a server that stalls may not read it.
        task = asyncio.ensure_future(_take_back(session, number))
        _courtesies.add(task)
        task.add_done_callback(_courtesies.discard)
        raise


async def _take_back(session: Any, number: int) -> None:
    from mcp import types

    params = types.CancelledNotificationParams(requestId=number)
    note = types.ClientNotification(types.CancelledNotification(params=params))
    with contextlib.suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
        await session.send_notification(note)
