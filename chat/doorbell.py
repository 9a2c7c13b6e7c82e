"""The doorbell: "something happened", never what. Lost rings are made up for by a slow poll.

Viewers listen to three groups: their conversation, their user, and everybody; workers in other
processes to a fourth. The payload stays out of the channel layer, which is at-most-once by
contract; who is rung looks at the database or the log.
"""

import asyncio
import hashlib
from uuid import UUID

import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from redis.exceptions import RedisError

logger = structlog.get_logger()

EVERYBODY = "everybody"
WORKERS = "workers"
RING_S = 2.0  # a Redis that hangs holds up every other use of its connection for as long as this

_loop: asyncio.AbstractEventLoop | None = None
_pending: set[asyncio.Task[None]] = set()


def conversation_group(conversation_id: UUID) -> str:
    return f"conversation.{conversation_id.hex}"


def user_group(user_id: int) -> str:
    return f"user.{user_id}"


def attach(loop: asyncio.AbstractEventLoop | None) -> None:
    """Name the loop that this process's sockets live on, so that threads need not wait for it."""
    global _loop
    _loop = loop


def ring_conversation(conversation_id: UUID) -> None:
    """Something changed in this conversation."""
    _send(conversation_group(conversation_id), {"type": "ring"})


def ring_user(user_id: int) -> None:
    """This user's list of conversations changed."""
    _send(user_group(user_id), {"type": "ring.list"})


def ring_everybody() -> None:
    """The model became ready, or failed."""
    _send(EVERYBODY, {"type": "ring.status"})


def ring_sessions(user_id: int, ended: str | None = None) -> None:
    """Sessions of this user may have ended: check yours. ``ended`` names one that surely has."""
    _send(user_group(user_id), {"type": "ring.session", "ended": session_mark(ended)})


def ring_workers() -> None:
    """A generation was queued, or one is to be stopped."""
    _send(WORKERS, {"type": "ring"})


def session_mark(session_key: str | None) -> str:
    """A session's name on the channel layer; the key itself would let its reader sign in."""
    return hashlib.sha256(session_key.encode()).hexdigest() if session_key else ""


def _send(group: str, message: dict[str, str]) -> None:
    if _loop is not None and _loop.is_running():
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is _loop:
            _spawn(group, message)
        else:
            _loop.call_soon_threadsafe(_spawn, group, message)
    else:
        async_to_sync(_group_send)(group, message)


def _spawn(group: str, message: dict[str, str]) -> None:
    task = asyncio.ensure_future(_group_send(group, message))
    _pending.add(task)
    task.add_done_callback(_pending.discard)


async def _group_send(group: str, message: dict[str, str]) -> None:
    layer = get_channel_layer()
    assert layer is not None
    try:
        async with asyncio.timeout(RING_S):
            await layer.group_send(group, message)
    except (OSError, RedisError) as error:
        logger.warning("doorbell_failed", error=type(error).__name__)
