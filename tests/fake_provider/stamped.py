"""The benchmark's stream: tokens that say when they were sent.

A token is ` t<number>x<send time>z`, the first one ` t0x<send time>a<arrival>z`: letters and digits
only, so it survives markdown, HTML escaping and JSON, and a regular expression finds it however
frames are cut. Times are microseconds of CLOCK_MONOTONIC, which all processes of a machine share.

Every ``paragraph``-th token opens a paragraph, as answers do (0: one endless paragraph).
"""

import asyncio
import dataclasses
import re
import time
from collections.abc import Callable
from typing import Any

from .encode import COMPLETION_ID, CREATED
from .script import Bench
from .wire import chunk

DIRECTIVE = re.compile(r"\bbench((?:\s+(?:tokens|rate|paragraph)=[\d.]+)+)")
BURST = 16  # tokens a write when there is no rate: a fast provider's packets hold several


def directed(step: Bench, body: Any) -> Bench:
    """The step as the last user message wants it: `bench tokens=200 rate=50 paragraph=0`."""
    messages = body.get("messages") if isinstance(body, dict) else None
    said = [m.get("content") for m in messages or () if m.get("role") == "user"]
    found = DIRECTIVE.search(str(said[-1])) if said else None
    if found is None:
        return step
    given = dict(pair.split("=") for pair in found[1].split())
    changes: dict[str, Any] = {name: int(given[name]) for name in given if name != "rate"}
    if "rate" in given:
        changes["rate"] = float(given["rate"])
    return dataclasses.replace(step, **changes)


def token_maker(step: Bench, model: str, arrived_us: int) -> Callable[[int], bytes]:
    """A function from a token's number to its framed bytes, stamped when it is called."""
    prefix = (
        f'data: {{"id":"{COMPLETION_ID}","object":"chat.completion.chunk","created":{CREATED},'
        f'"model":"{model}","choices":[{{"index":0,"delta":{{"content":"'
    ).encode()
    suffix = b'"},"finish_reason":null}]}\n\n'
    clock, paragraph = time.monotonic_ns, step.paragraph

    def make(number: int) -> bytes:
        gap = b"\\n\\n" if paragraph and number and not number % paragraph else b" "
        stamp = clock() // 1000
        if not number:
            return chunk(b"%b t0x%da%dz%b" % (prefix, stamp, arrived_us, suffix))
        return chunk(b"%b%bt%dx%dz%b" % (prefix, gap, number, stamp, suffix))

    return make


async def send(writer: asyncio.StreamWriter, step: Bench, make: Callable[[int], bytes]) -> int:
    """Sends the step's tokens; returns the bytes sent."""
    if step.rate:
        ticker = Ticker(writer.transport, step, make)
        try:
            await ticker.done
        finally:
            ticker.stop()
        return ticker.sent
    sent = 0
    for start in range(0, step.tokens, BURST):
        data = b"".join([make(n) for n in range(start, min(start + BURST, step.tokens))])
        writer.write(data)
        sent += len(data)
        await writer.drain()
        await asyncio.sleep(0)  # other streams are on this loop too
    return sent


class Ticker:
    """One timer per stream: each tick sends what is due and sets the next, on an absolute plan."""

    def __init__(
        self, transport: asyncio.WriteTransport, step: Bench, make: Callable[[int], bytes]
    ) -> None:
        self._transport, self._make = transport, make
        self._tokens, self._rate = step.tokens, step.rate
        self._loop = asyncio.get_running_loop()
        self._start = self._loop.time()
        self._next = self.sent = 0
        self.done: asyncio.Future[None] = self._loop.create_future()
        self._handle: asyncio.TimerHandle | None = None
        self._tick()

    def _tick(self) -> None:
        due = int((self._loop.time() - self._start) * self._rate) + 1
        # asyncio may fire a hair early: always send one, or the tick would spin until it is due.
        until = min(max(due, self._next + 1), self._tokens)
        data = b"".join([self._make(n) for n in range(self._next, until)])
        self._transport.write(data)
        self.sent += len(data)
        self._next = until
        if until >= self._tokens:
            self.done.set_result(None)
        else:
            self._handle = self._loop.call_at(self._start + until / self._rate, self._tick)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
