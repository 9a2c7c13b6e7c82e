"""Keep one local model running: start it, restart it when it dies, stop it with the server.

A child that dies is replaced after 0.5 s, then 1, 2, 4 … up to 30 s; one that was well for a
minute starts that over. Each child listens on a port of its own choice and has its own key.

One that is ready is not asked again: when every HTTP thread waits for a slot it would seem dead,
and a model that hangs says 200 all the same. The engine's timeouts see what matters.
"""

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import aiohttp
import structlog

from chat.local_model.child import MODEL_NAME
from chat.local_model.process import CannotRun, ChildProcess, Died

logger = structlog.get_logger()

CHILD = (sys.executable, str(Path(__file__).with_name("child.py")))


class ModelState(StrEnum):
    LOADING = "loading"  # also while a child that died is being replaced
    READY = "ready"
    FAILED = "failed"  # no child came up, or none will; ``message`` says which


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to wait, in seconds."""

    load_s: float = 120.0  # 1 s on a quiet machine; a busy one with a cold disk takes many times
    poll_s: float = 0.1
    restart_s: float = 0.5
    restart_max_s: float = 30.0
    well_s: float = 60.0


class LocalModel:
    """The local model of this process, for one event loop.

    ``base_url`` and ``api_key`` belong together and are None unless the model is ready. They
    change when it is restarted: read both at every call.
    """

    model = MODEL_NAME

    def __init__(self, command: Sequence[str] = CHILD, pace: Pace | None = None) -> None:
        self.state = ModelState.LOADING
        self.message = "The local model is loading."
        self._command = command
        self._pace = pace or Pace()
        self._child: ChildProcess | None = None
        self._task: asyncio.Task[None] | None = None
        self._callbacks: list[Callable[[LocalModel], object]] = []
        self._changed = asyncio.Event()
        self._hopeless = False  # nothing runs that could make it ready

    @property
    def base_url(self) -> str | None:
        if self._child is None or self.state is not ModelState.READY:
            return None
        return f"{self._child.origin}/v1"

    @property
    def api_key(self) -> str | None:
        if self._child is None or self.state is not ModelState.READY:
            return None
        return self._child.api_key

    @property
    def pid(self) -> int | None:
        """The child's process id, for metrics and tests."""
        return self._child.pid if self._child is not None else None

    def on_change(self, callback: Callable[["LocalModel"], object]) -> None:
        """Call ``callback`` in the loop after each change of ``state`` or ``message``."""
        self._callbacks.append(callback)

    async def start(self) -> None:
        """Begin to load, without waiting for it."""
        if self._task is None:
            self._hopeless = False
            self._enter(ModelState.LOADING, "The local model is loading.")
            self._task = asyncio.create_task(self._run(), name="local-model")

    async def wait_ready(self, timeout: float) -> None:  # noqa: ASYNC109 - the caller's deadline
        """Wait until the model answers.

        Raises:
            TimeoutError: it does not within ``timeout`` seconds; at once when it never will.
        """
        async with asyncio.timeout(timeout):
            while self.state is not ModelState.READY:
                if self._hopeless:
                    raise TimeoutError(self.message)
                await self._changed.wait()

    async def stop(self) -> None:
        """End the child, in about three seconds at most. ``start`` may follow."""
        if (task := self._task) is not None:
            if not task.cancelling():  # a second cancel would hurry the child's end
                task.cancel()
            await asyncio.wait({task})
            self._task = None
        self._hopeless = True
        self._enter(ModelState.FAILED, "The local model is stopped.")

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        delay_s = self._pace.restart_s
        async with aiohttp.ClientSession() as http:
            while True:
                ready_since: float | None = None
                try:
                    self._child = await ChildProcess.spawn(self._command)
                    await self._load(self._child, http)
                    ready_since = loop.time()
                    self._enter(ModelState.READY, "The local model is ready.")
                    logger.info("local_model_ready", pid=self._child.pid)
                    await self._child.lives()
                except CannotRun as error:
                    logger.error("local_model_cannot_run", reason=str(error))
                    self._hopeless = True
                    return self._enter(ModelState.FAILED, str(error))
                except (Died, TimeoutError, OSError, ValueError) as error:
                    if ready_since is not None and loop.time() - ready_since >= self._pace.well_s:
                        delay_s = self._pace.restart_s
                    logger.warning(
                        "local_model_died",
                        reason=str(error) or type(error).__name__,
                        restart_in_s=delay_s,
                    )
                    if ready_since is None:
                        self._enter(
                            ModelState.FAILED,
                            "The local model does not start. It will be tried again.",
                        )
                    else:
                        self._enter(ModelState.LOADING, "The local model is starting again.")
                finally:
                    if (child := self._child) is not None:
                        self._child = None
                        await child.end()
                await asyncio.sleep(delay_s)
                delay_s = min(2 * delay_s, self._pace.restart_max_s)

    async def _load(self, child: ChildProcess, http: aiohttp.ClientSession) -> None:
        async with asyncio.timeout(self._pace.load_s):
            await child.until_loaded()
            while not await child.healthy(http):
                await child.lives(self._pace.poll_s)

    def _enter(self, state: ModelState, message: str) -> None:
        if (state, message) == (self.state, self.message):
            return
        self.state, self.message = state, message
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        for callback in self._callbacks:
            try:
                callback(self)
            except Exception:
                logger.exception("local_model_callback_failed")
