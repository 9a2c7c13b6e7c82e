"""How much a page may be behind: what it has been sent and has not yet said that it painted."""

import asyncio
from collections import deque

UNACKNOWLEDGED_MAX = 1024 * 1024  # characters, of which nearly all are one byte


class Window:
    """Frames on their way to one page.

    A page that never acknowledges anything, as an event stream cannot, is not held to it: there the
    server's own send waits for a slow connection.
    """

    def __init__(self) -> None:
        self._frames: deque[tuple[int, int]] = deque()
        self._size = 0
        self._acknowledges = False
        self._room = asyncio.Event()

    async def wait_for_room(self, size: int) -> None:
        """Return when a frame of this size may be sent; one that is too large goes alone."""
        while self._acknowledges and self._frames and self._size + size > UNACKNOWLEDGED_MAX:
            self._room.clear()
            await self._room.wait()

    def sent(self, number: int, size: int) -> None:
        self._frames.append((number, size))
        self._size += size
        while not self._acknowledges and self._size > UNACKNOWLEDGED_MAX and len(self._frames) > 1:
            self._size -= self._frames.popleft()[1]

    def acknowledge(self, number: int) -> None:
        """The page has painted this frame, and so all before it."""
        self._acknowledges = True
        while self._frames and self._frames[0][0] <= number:
            self._size -= self._frames.popleft()[1]
        self._room.set()
