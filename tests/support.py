"""What tests of several packages do: wait for a condition, ask the database from a loop."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_S = 10.0


async def eventually(
    probe: Callable[[], Awaitable[T]], *, within: float = PATIENCE_S, message: str = ""
) -> T:
    """The first truthy answer of the probe; fails when none comes in time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while True:
        answer = await probe()
        if answer:
            return answer
        if loop.time() > deadline:
            raise AssertionError(message or f"did not happen within {within} s")
        await asyncio.sleep(0.01)
