"""One connection to a tool server, held by a task of its own.

The library's cancel scopes must be entered and left in one task, and they cancel that task when
the connection breaks. So it is never the task of a reply: an actor opens the connection, waits to
be told to close it, and closes it. Whoever asks something waits for the answer or for the actor's
end, whichever comes first.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import httpx

from chat.models import ServerTransport
from chat.tools.base import ToolFailed
from chat.tools.servers import library
from chat.tools.servers.address import address
from chat.tools.servers.program import program
from chat.tools.servers.reach import Reach
from chat.tools.text import squeezed, without

if TYPE_CHECKING:
    from mcp import ClientSession

T = TypeVar("T")
Question = Callable[["ClientSession"], Awaitable[T]]

# A program that ignores everything takes two graces, see program.py; then it is killed.
CLOSING_S = 4.0
ERROR_CHARS = 1_000
# The loop keeps weak references to its tasks; one that still closes must not vanish.
_actors: set[asyncio.Task[None]] = set()


class Session:
    def __init__(self, reach: Reach) -> None:
        self.reach = reach
        self._closing = asyncio.Event()
        self._ready: asyncio.Future[ClientSession] = asyncio.get_running_loop().create_future()
        self._problem = f"The tool server {reach.name} ended before it answered."
        self._actor = asyncio.create_task(self._hold_open(), name=f"tool server {reach.name}")
        _actors.add(self._actor)
        self._actor.add_done_callback(_actors.discard)

    @property
    def over(self) -> bool:
        return self._closing.is_set() or self._actor.done()

    async def ask(self, question: Question[T]) -> T:
        """The answer to a question, which is asked in a task that is gone when this returns.

        Raises:
            ToolFailed: no connection, no answer in time, or an error for an answer.
        """
        opened: set[asyncio.Future[Any]] = {self._ready, self._actor}
        await asyncio.wait(opened, return_when=asyncio.FIRST_COMPLETED)
        if not self._ready.done() or self._ready.cancelled():
            raise ToolFailed(self._problem)
        asking = asyncio.ensure_future(self._ask(question, self._ready.result()))
        try:
            await asyncio.wait(
                {asking, self._actor},
                timeout=self.reach.timeout_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if asking.done() and not asking.cancelled():
                return asking.result()
            raise ToolFailed(self._problem if self._actor.done() else _too_slow(self.reach))
        finally:
            asking.cancel()
            await asyncio.wait({asking})
            if not asking.cancelled():
                asking.exception()  # else the loop reports that nobody looked at it

    async def _ask(self, question: Question[T], session: "ClientSession") -> T:
        from mcp import McpError

        try:
            return await question(session)
        except McpError as error:
            if error.error.code in _ended_codes():
                self._end()
                raise ToolFailed(self._problem) from None
            said = without(squeezed(error.error.message, ERROR_CHARS), self.reach.secrets())
            raise ToolFailed(said or "The tool server reports an error.") from None
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            self._end()
            raise ToolFailed(self._problem) from None
        except ValueError:  # pydantic's too: an answer of another shape
            raise ToolFailed(f"The tool server {self.reach.name} gave no valid answer.") from None

    def close(self) -> None:
        """Have the connection closed; ``closed`` waits for it."""
        self._end()
        if not self._ready.done():
            self._actor.cancel()

    def _end(self) -> None:
        if not self._closing.is_set():
            self._closing.set()
            # Here and not where it is waited for: whoever waits may be cancelled.
            asyncio.get_running_loop().call_later(CLOSING_S, self._actor.cancel)

    async def closed(self) -> None:
        await asyncio.wait({self._actor})

    async def _hold_open(self) -> None:
        from_here = program if self.reach.transport == ServerTransport.STDIO else address
        try:
            await library.load()
            from mcp import ClientSession

            async with (
                from_here(self.reach, self._end) as (read, write),
                ClientSession(read, write) as session,
            ):
                async with asyncio.timeout(self.reach.timeout_s):
                    await session.initialize()
                self._ready.set_result(session)
                await self._closing.wait()
        except Exception as error:
            self._problem = _sentence(self.reach, error)
        finally:
            self._closing.set()
            self._ready.cancel()


def _ended_codes() -> tuple[int, ...]:
    from mcp.types import CONNECTION_CLOSED

    return CONNECTION_CLOSED, 32600  # the second is the library's for a session that is unknown


def _too_slow(reach: Reach) -> str:
    return f"The tool server {reach.name} did not answer within {reach.timeout_s:g} seconds."


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]


def _sentence(reach: Reach, error: Exception) -> str:
    """What went wrong, in words of ours: an exception's own may hold an address or a header."""
    for leaf in _leaves(error):
        match leaf:
            case ToolFailed():
                return str(leaf)
            case TimeoutError():
                return _too_slow(reach)
            case httpx.HTTPStatusError() if leaf.response.status_code in (401, 403):
                return f"The tool server {reach.name} did not accept the credentials."
            case httpx.HTTPStatusError():
                status = leaf.response.status_code
                return f"The tool server {reach.name} answered with HTTP status {status}."
            case httpx.ConnectError() | httpx.ConnectTimeout() | httpx.UnsupportedProtocol():
                return f"The tool server {reach.name} could not be reached."
            case OSError():
                return f"The program of the tool server {reach.name} could not be started."
    return f"The tool server {reach.name} ended before it answered."
