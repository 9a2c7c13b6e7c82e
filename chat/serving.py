"""A serving process: start, run, drain, end.

Daphne's own shutdown neither drains nor closes its sockets, and fails outright when one was opened
within the last second. So its signal handlers are off: on SIGTERM or SIGINT we stop listening,
refuse new work, close the viewers with 1012 so that they come back elsewhere, let the running
replies finish or save them as interrupted, and only then stop the reactor. A second signal ends
the wait.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import Any

import structlog
from django.conf import settings

from chat import services
from chat.accounts.setup import setup_path
from chat.database import close_pool, in_database
from chat.delivery import open_page
from chat.direct_socket import PULSE_CHECK_S
from chat.process import Signals, drain, settle

logger = structlog.get_logger()

ANSWERED_WITHIN_S = 3.0


class Serving:
    """One Daphne server with Parley's services beside it, on one event loop."""

    def __init__(
        self,
        server_class: Any,
        host: str,
        port: int,
        say: Callable[[str], object],
        *,
        engine: bool | None = None,
    ) -> None:
        from chatsite.asgi import application

        self.host, self.port, self._say, self._engine = host, port, say, engine
        endpoint = f"tcp:port={port}:interface={host.replace(':', chr(92) + ':')}"
        self._server = server_class(
            application=application,
            endpoints=[endpoint],
            signal_handlers=False,
            # Before the bound, not at it: a ping is late by a look at most, and the way takes time.
            ping_interval=max(0.0, settings.STREAM_HEARTBEAT * 0.8 - PULSE_CHECK_S),
            ping_timeout=30,
            # 0 would end a socket after a day with a code that the page does not come back from.
            websocket_timeout=-1,
            websocket_max_message_size=64 * 1024,
            websocket_max_frame_size=64 * 1024,
            ready_callable=self._ready,
            server_name="parley",
        )
        self._exit_code = 0
        self._loop: asyncio.AbstractEventLoop | None = None  # None until the port is bound
        self._tasks: list[asyncio.Task[None]] = []

    def run(self) -> int:
        """Serve until told to stop; returns the exit code."""
        self._server.run()
        close_pool()
        if self._loop is None:
            self._say(f"Cannot listen on {self.host}:{self.port}: is something there already?")
            return 1
        return self._exit_code

    def _ready(self) -> None:
        from daphne.server import twisted_loop

        self._loop = twisted_loop
        twisted_loop.call_soon(self._begin, twisted_loop)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        signals = Signals(loop)
        self._tasks = [loop.create_task(self._shut_down(loop, signals))]
        services.ensure_started(engine=self._engine)
        self._tasks.append(loop.create_task(self._announce()))

    async def _announce(self) -> None:
        host = self.host if self.host not in {"0.0.0.0", "::"} else "127.0.0.1"  # noqa: S104
        host = f"[{host}]" if ":" in host else host
        address = f"http://{host}:{self.port}"
        self._say(f"Parley is at {address}")
        if (path := await in_database(setup_path)) is not None:
            self._say(f"Nobody has an account yet. Make the first administrator: {address}{path}")
        settle()
        logger.info("serving", address=address, pid=os.getpid())

    async def _shut_down(self, loop: asyncio.AbstractEventLoop, signals: Signals) -> None:
        await signals.end.wait()
        try:
            current = services.current()
            if current is not None:
                current.draining.set()
            await asyncio.gather(*self._stop_listening(loop))
            await open_page.close_all()
            await drain(signals.hurry)
            # A socket whose handshake was under way when the listener closed.
            await open_page.close_all()
            await asyncio.sleep(0.1)
            await self._answer()
        except Exception:
            logger.exception("shutdown_failed")
            self._exit_code = 1
        finally:
            logger.info("stopped")
            self._stop_reactor(loop)

    def _stop_listening(self, loop: asyncio.AbstractEventLoop) -> list[Any]:
        ports = [listener.result for listener in self._server.listeners if listener.called]
        stops = [port.stopListening() for port in ports if hasattr(port, "stopListening")]
        return [stop.asFuture(loop) for stop in stops if stop is not None]

    async def _answer(self) -> None:
        """Let the requests that are under way have their answers, on connections that are kept."""
        from daphne.http_protocol import WebRequest

        def answering() -> bool:
            connections = self._server.connections.items()
            return any(
                isinstance(protocol, WebRequest) and "disconnected" not in details
                for protocol, details in connections
            )

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWERED_WITHIN_S):
                while answering():  # noqa: ASYNC110 (Daphne tells nobody)
                    await asyncio.sleep(0.02)

    def _stop_reactor(self, loop: asyncio.AbstractEventLoop) -> None:
        from twisted.internet import reactor

        # An application that has no task yet would make Daphne's own clean-up raise KeyError.
        for details in self._server.connections.values():
            details.setdefault("application_instance", loop.create_future())
        reactor.stop()
