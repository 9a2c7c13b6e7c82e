"""What every process of Parley does alike: settle down after its start, drain at its end."""

import asyncio
import gc
import signal
import sys

import structlog
from django.conf import settings

from chat import services

logger = structlog.get_logger()

# Objects that are made for every token die young; looking for cycles among them every 700
# allocations is what the slowest tokens would wait for.
GC_THRESHOLD = 50_000
# The loop waits for the interpreter behind every busy thread of the pool; at Python's 5 ms each
# that is what a token would wait while others send.
SWITCH_INTERVAL_S = 0.0005
HURRIED_S = 5.0  # to save what runs after a second signal


def settle() -> None:
    """Call when everything is imported and started."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 20, 20)
    sys.setswitchinterval(SWITCH_INTERVAL_S)


class Signals:
    """The first SIGTERM or SIGINT asks to end, a second one to hurry."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.end, self.hurry = asyncio.Event(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)

    def _signalled(self, number: int) -> None:
        if self.end.is_set():
            self.hurry.set()
        else:
            logger.info("stopping", signal=signal.Signals(number).name)
            self.end.set()


async def drain(hurry: asyncio.Event) -> None:
    """Let running replies finish within ``DRAIN_TIMEOUT``, or until hurried; save the others."""
    draining = asyncio.create_task(services.shut_down(settings.DRAIN_TIMEOUT))
    hurried = asyncio.create_task(hurry.wait())
    await asyncio.wait({draining, hurried}, return_when=asyncio.FIRST_COMPLETED)
    hurried.cancel()
    if not draining.done():
        services.hurry()
        await asyncio.wait({draining}, timeout=HURRIED_S)
