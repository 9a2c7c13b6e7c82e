"""What a serving process runs beside its requests: provider, log, worker, sweeper, local model.

One set per process, on the loop that its sockets live on. ``ensure_started`` begins them, at the
latest with the first request; ``shut_down`` drains and ends them. The functions without ``async``
may be called from any thread, and do nothing in a process that serves nobody.
"""

import asyncio
import contextlib
import os
from enum import StrEnum

import structlog
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import DatabaseError
from redis.exceptions import RedisError

from chat import doorbell, sweeper
from chat.engine.errors import ProviderError, Unreachable
from chat.engine.log import Log, MemoryLog
from chat.engine.provider import Endpoint, Provider
from chat.engine.redis_streams import RedisLog
from chat.local_model import LocalModel, ModelState
from chat.worker import Worker

logger = structlog.get_logger()

SWEEP_EVERY_S = 5.0
LISTEN_RETRY_S = 1.0
# llama.cpp's server closes the connection after a streamed reply although it promises to keep it:
# every second request on a kept one fails. And without progress reports it notices that the client
# left only when the first token comes, which for a long prompt is minutes later.
CLOSE = (("Connection", "close"),)
PROGRESS = (("return_progress", True),)
# As chat/local_model/chatml.jinja has it.
CALL_BEGINS, CALL_ENDS = "<tool_call>\n", "</tool_call>"
MODELS_RETRY_S = 5.0
MODELS_REFRESH_S = 600.0


class Readiness(StrEnum):
    """Can the provider be asked? A configured endpoint always can; a local model must load."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


class Services:
    """The running parts. Made and used on one event loop.

    With ``engine`` there is a worker, and a local model if no endpoint is configured.
    """

    def __init__(self, *, engine: bool = True) -> None:
        self.local_model = LocalModel() if engine and not settings.OPENAI_BASE_URL else None
        if self.local_model is not None:
            _spare_loopback_the_proxy()
        if self.local_model is not None:
            self.local_model.on_change(lambda _: doorbell.ring_everybody())
        self.provider = Provider(self._endpoint)
        self.log: Log = RedisLog(settings.REDIS_URL) if settings.REDIS_URL else MemoryLog()
        self.worker = Worker(self.provider, self.log, self._model_ready) if engine else None
        self._orphans = sweeper.Orphans()
        self.models: list[str] = list(settings.CHAT_MODELS)
        self.draining = asyncio.Event()
        self._sweep_now, self._moderate_now = asyncio.Event(), asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self.log.start()
        if self.worker is not None:
            self.worker.start()
            if settings.REDIS_URL:
                self._tasks.append(asyncio.create_task(self._listen(self.worker), name="listen"))
        self._tasks.append(asyncio.create_task(self._sweep(), name="sweeper"))
        self._tasks.append(asyncio.create_task(self._moderate(), name="moderation"))
        self._tasks.append(asyncio.create_task(self._list_models(), name="models"))
        if self.local_model is not None:
            self._tasks.append(asyncio.create_task(self.local_model.start(), name="local-model"))

    async def stop(self, drain_s: float) -> None:
        """Drain the worker, then end everything."""
        self.draining.set()
        if self.worker is not None:
            await self.worker.drain(drain_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.local_model is not None:
            await self.local_model.stop()
        await self.log.close()
        await self.provider.close()

    def sweep_soon(self) -> None:
        self._sweep_now.set()
        self._moderate_now.set()

    @property
    def readiness(self) -> Readiness:
        if self.local_model is None or self.local_model.state is ModelState.READY:
            return Readiness.READY
        if self.local_model.state is ModelState.FAILED:
            return Readiness.FAILED
        return Readiness.LOADING

    def _endpoint(self) -> Endpoint:
        if self.local_model is not None:
            return Endpoint(
                self.local_model.base_url or "",
                self.local_model.api_key or "",
                headers=CLOSE,
                stream_parameters=PROGRESS,
                call_begins=CALL_BEGINS,
                call_ends=CALL_ENDS,
            )
        return Endpoint(settings.OPENAI_BASE_URL, settings.OPENAI_API_KEY)

    async def _model_ready(self) -> None:
        if self.local_model is None:
            return
        try:
            await self.local_model.wait_ready(settings.STREAM_FIRST_TOKEN_TIMEOUT)
        except TimeoutError:
            raise Unreachable("the local model did not become ready") from None

    async def _sweep(self) -> None:
        # Whatever a process before us held is orphaned, when there is only one at a time.
        only = self.worker.name if self.worker is not None and not settings.REDIS_URL else None
        self._orphans.only_holder = only
        while True:
            try:
                swept = await sweeper.tidy(self.provider, self._orphans)
                if swept.reconciled:
                    self._moderate_now.set()
                self._orphans.only_holder = None
            except DatabaseError as error:
                # The workers' heartbeats could not be written either.
                self._orphans.forget()
                logger.warning("sweep_failed", error=type(error).__name__)
            except Exception:
                logger.exception("sweep_failed")  # a row that went meanwhile; the next pass sees
            await _rung(self._sweep_now)

    async def _moderate(self) -> None:
        """Beside the sweeping: a moderation service that is slow holds up no orphan."""
        while True:
            try:
                await sweeper.moderate(self.provider)
            except DatabaseError as error:
                logger.warning("moderation_sweep_failed", error=type(error).__name__)
            except Exception:
                logger.exception("moderation_sweep_failed")
            await _rung(self._moderate_now)

    async def _listen(self, worker: Worker) -> None:
        """Be rung by other processes. A lost ring is made up for by the worker's own polls."""
        layer = get_channel_layer()
        assert layer is not None
        while True:
            try:
                channel = await layer.new_channel("worker")
                await layer.group_add(doorbell.WORKERS, channel)
                while True:
                    await layer.receive(channel)
                    worker.look_around()
            except (OSError, RedisError) as error:
                logger.warning("doorbell_failed", error=type(error).__name__)
                await asyncio.sleep(LISTEN_RETRY_S)

    async def _list_models(self) -> None:
        """Keep the list of models; CHAT_MODELS, when given, is the list."""
        while not settings.CHAT_MODELS:
            delay_s = MODELS_RETRY_S
            with contextlib.suppress(ProviderError):
                await self._model_ready()
                self.models = await self.provider.models()
                delay_s = MODELS_REFRESH_S
            await asyncio.sleep(delay_s)


async def _rung(bell: asyncio.Event) -> None:
    """Wait until it is rung, or it is time to look again."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SWEEP_EVERY_S):
            await bell.wait()
    bell.clear()


def _spare_loopback_the_proxy() -> None:
    """The HTTP client goes by the environment's proxy, which knows no model on this machine."""
    for name in ("NO_PROXY", "no_proxy"):
        hosts = [host for host in os.environ.get(name, "").split(",") if host]
        os.environ[name] = ",".join([*hosts, "127.0.0.1"])


_current: Services | None = None
_loop: asyncio.AbstractEventLoop | None = None


def ensure_started(*, engine: bool | None = None) -> Services:
    """The services of this process, started on the running loop if they were not.

    ``engine``: do replies run here? Unless told, where no Redis lets them run elsewhere.
    """
    global _current, _loop
    if _current is None:
        _loop = asyncio.get_running_loop()
        doorbell.attach(_loop)
        _current = Services(engine=not settings.REDIS_URL if engine is None else engine)
        _current.start()
    return _current


async def shut_down(drain_s: float) -> None:
    """Drain for at most ``drain_s`` seconds, then end everything."""
    if _current is not None:
        await _current.stop(drain_s)


def forget() -> None:
    """Let the next ``ensure_started`` begin anew, in a process that serves again."""
    global _current, _loop
    _current = _loop = None
    doorbell.attach(None)


def hurry() -> None:
    """Cut the drain short: what still runs is saved as interrupted now."""
    if _current is not None and _current.worker is not None:
        _current.worker.interrupt_all()


def current() -> Services | None:
    return _current


def is_draining() -> bool:
    return _current is not None and _current.draining.is_set()


def takes_replies() -> bool:
    """May a reply be queued? Not while the process that would write it drains."""
    return not is_draining() or _worker_here() is None


def readiness() -> Readiness:
    return _current.readiness if _current is not None else Readiness.READY


def log_available() -> bool:
    """Do events travel between the processes at present?"""
    return _current is None or _current.log.available


def endpoint() -> Endpoint:
    """Where a model is asked, in a process that serves and in one that does not."""
    if _current is not None:
        return _current._endpoint()
    return Endpoint(settings.OPENAI_BASE_URL, settings.OPENAI_API_KEY)


def model_names() -> list[str]:
    """The models to choose from, the default first; empty while the endpoint has not said."""
    return _current.models if _current is not None else list(settings.CHAT_MODELS)


def default_model() -> str:
    names = model_names()
    return names[0] if names else ""


def wake_worker() -> None:
    """There is a generation to claim."""
    worker = _worker_here()
    if worker is not None and _loop is not None:
        _loop.call_soon_threadsafe(worker.wake)
    else:
        doorbell.ring_workers()


def look_around() -> None:
    """A worker may go on: the user has decided on a tool call."""
    worker = _worker_here()
    if worker is not None and _loop is not None:
        _loop.call_soon_threadsafe(worker.look_around)
    if worker is None or settings.REDIS_URL:
        doorbell.ring_workers()


def stop_generation(generation_id: int, reason: str) -> None:
    """End a running one; its row says so too, for a worker in another process."""
    worker = _worker_here()
    if worker is not None and _loop is not None:
        _loop.call_soon_threadsafe(worker.stop, generation_id, reason)
    if worker is None or settings.REDIS_URL:
        doorbell.ring_workers()


def erase_log(generation_id: int) -> None:
    """Of a reply that has ended: what its row no longer says, its log must not say either."""
    if _current is not None and _loop is not None:
        _loop.call_soon_threadsafe(_current.log.erase, generation_id)


def _worker_here() -> Worker | None:
    return _current.worker if _current is not None else None


def sweep_soon() -> None:
    if _current is not None and _loop is not None:
        _loop.call_soon_threadsafe(_current.sweep_soon)
