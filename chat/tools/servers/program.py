"""A tool server that is a program on this machine.

The library has a transport for this too. Ours differs in three things: the program gets nothing
of our environment but three variables; a line that it writes is bounded; and what it started is
gone with it, whether it ended by itself, ignores signals, or we are cancelled.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio

from chat.tools.servers.reach import Reach

LINE_BYTES = 4 << 20
# The protocol's order: close its input, then SIGTERM, then SIGKILL; each after so long.
GRACE_S = 1.0


@contextlib.asynccontextmanager
async def program(reach: Reach, ended: Callable[[], None]) -> AsyncIterator[tuple[Any, Any]]:
    """The streams of messages from and to the program; ``ended`` is called when it falls silent.

    Raises:
        OSError: it could not be started.
        ToolFailed: a variable that it needs is not set.
    """
    process = await asyncio.create_subprocess_exec(
        reach.command,
        *reach.arguments,
        env=reach.child_environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,  # it may hold anything, and nobody reads it
        start_new_session=True,  # a group of its own, which can be killed as a whole
        limit=LINE_BYTES,
    )
    incoming, for_us = anyio.create_memory_object_stream[Any](0)
    for_it, outgoing = anyio.create_memory_object_stream[Any](0)
    tasks = [
        asyncio.create_task(_listen(process, incoming), name="tool server listens"),
        asyncio.create_task(_speak(process, outgoing), name="tool server speaks"),
    ]
    tasks[0].add_done_callback(lambda _: ended())
    try:
        yield for_us, for_it
        await _leave(process)
    finally:
        _kill(process)
        for task in tasks:
            task.cancel()
        for stream in (incoming, for_us, for_it, outgoing):
            stream.close()
        await _reap(process, tasks)


async def _listen(process: asyncio.subprocess.Process, incoming: Any) -> None:
    from mcp.shared.message import SessionMessage
    from mcp.types import JSONRPCMessage

    assert process.stdout is not None
    with incoming, contextlib.suppress(ValueError, OSError, anyio.BrokenResourceError):
        # ValueError: a line longer than LINE_BYTES. The session is over, as if it had died.
        while line := await process.stdout.readline():
            try:
                message = JSONRPCMessage.model_validate_json(line)
            except ValueError:
                continue  # what programs print
            await incoming.send(SessionMessage(message))


async def _speak(process: asyncio.subprocess.Process, outgoing: Any) -> None:
    assert process.stdin is not None
    with outgoing, contextlib.suppress(OSError):
        async for message in outgoing:
            line = message.message.model_dump_json(by_alias=True, exclude_none=True)
            process.stdin.write(line.encode() + b"\n")
            await process.stdin.drain()


async def _leave(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
    if await _gone(process):
        return
    _signal(process, signal.SIGTERM)
    await _gone(process)


async def _gone(process: asyncio.subprocess.Process) -> bool:
    try:
        async with asyncio.timeout(GRACE_S):
            await process.wait()
    except TimeoutError:
        return False
    return True


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _kill(process: asyncio.subprocess.Process) -> None:
    """The whole group, also when its leader is gone: what it started may still run."""
    _signal(process, signal.SIGKILL)


async def _reap(process: asyncio.subprocess.Process, tasks: list[asyncio.Task[None]]) -> None:
    """Wait for what is already killed or cancelled, also when we are cancelled meanwhile."""
    reaping = asyncio.ensure_future(_gone(process))
    try:
        await asyncio.wait([reaping, *tasks])
    except asyncio.CancelledError:
        await asyncio.wait([reaping, *tasks])
        raise
    finally:
        # Its pipes may be held open by a process that left the group.
        process._transport.close()  # type: ignore[attr-defined]
