"""One connection: read a request, play its script, watch for the client's leaving meanwhile."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from .player import Player
from .recorded import Request
from .script import Script
from .wire import Incoming, RequestReader


class Connection:
    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answer_to: Callable[[Incoming], tuple[Request, Script]],
        pass_gate: Callable[[str], Awaitable[None]],
    ) -> None:
        self._reader, self._writer = RequestReader(reader), writer
        self._answer_to, self._pass_gate = answer_to, pass_gate
        # drain() returns only when the kernel has everything: bytes_sent means sent.
        writer.transport.set_write_buffer_limits(high=0)

    async def converse(self) -> None:
        """Answers requests until either side closes. Other errors than the client's are raised."""
        try:
            while incoming := await self._reader.next():
                if not await self._answer(incoming) or not incoming.keeps_alive:
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client left between two requests
        except asyncio.CancelledError:
            # Only stop() and reset() cancel, and asyncio's stream protocol chokes on a cancelled
            # handler in Python 3.11: end as if the connection had.
            self._writer.transport.abort()
        finally:
            await self._reader.aclose()
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()

    async def _answer(self, incoming: Incoming) -> bool:
        """Plays the script; says whether the connection can carry another request."""
        request, script = self._answer_to(incoming)
        player = Player(self._writer, script, request, self._pass_gate)
        playing = asyncio.create_task(player.play())
        watch = self._reader.watch()
        try:
            await asyncio.wait({playing, watch}, return_when=asyncio.FIRST_COMPLETED)
            if not playing.done() and not _left(watch):
                await asyncio.wait({playing})  # the next request is already coming in: let it wait
            if playing.done():
                return playing.result()
            request.client_closed()
        except OSError:
            request.client_closed()  # a write noticed it first
        finally:
            playing.cancel()
            await asyncio.wait({playing})
        return False


def _left(watch: asyncio.Task[bytes]) -> bool:
    """Whether the watched client has closed (an empty read) or reset (an error) its connection."""
    return watch.done() and (watch.exception() is not None or not watch.result())
