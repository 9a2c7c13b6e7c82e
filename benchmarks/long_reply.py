"""A very long reply: does a token cost more the more there are before it, how soon is a page caught
up that opens late, and does anybody else have to wait?"""

import asyncio
import contextlib
import math
import time
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from .measure import ADDED, Recording
from .parley import ParleyUser, View
from .processes import Running
from .progress import say
from .usage import Tree, Usage
from .wording import ms
from .workloads import SETTLE_S, Workload, measuring, meter_of, warm_up

SAMPLE_S = 0.02  # between two readings of the server's CPU clock
PING_S = 0.05
TOGETHER_US = 50_000  # a page that has a token so soon after the first page is caught up
WATCHED_S = 1.0  # how long the page that opens in the middle stays
AFTER_S = 2.0  # from the end until the page is opened anew

Samples = list[tuple[int, float]]  # (CLOCK_MONOTONIC ns, a reading)
Seen = Mapping[int, tuple[int, int, int]]  # as Recording.tokens() has it


@dataclass
class LateFigures:
    """A page that opens late: how long until it shows what the first one does, and what came."""

    ms: float
    page_kb: float
    socket_kb: float

    def __str__(self) -> str:
        return f"{ms(self.ms)} (page {self.page_kb:,.0f} KB, socket {self.socket_kb:,.0f} KB)"


@dataclass
class LongFigures:
    """``first_us`` and ``last_us``: CPU per token of the first and the last ``part`` tokens. A
    stall is the longest time that a ping on another page's socket waited for its answer."""

    part: int
    first_us: float
    last_us: float
    cpu_s_per_1000: float
    end_ms: float
    end_cpu_s: float
    middle: LateFigures
    after: LateFigures
    stalls_ms: dict[str, float]
    peak_rss_mb: float
    others_busy: float
    lost: int = field(metadata=ADDED)
    middle_lost: int = field(metadata=ADDED)
    misstored: int = field(metadata=ADDED)
    failed: int = field(metadata=ADDED)

    @property
    def wrong(self) -> int:
        return self.lost + self.middle_lost + self.misstored + self.failed

    def lines(self) -> list[tuple[str, str]]:
        ratio = self.last_us / self.first_us
        return [
            (f"CPU per token, first {self.part:,}", f"{self.first_us:.0f} µs"),
            (f"CPU per token, last {self.part:,}", f"{self.last_us:.0f} µs (× {ratio:.2f})"),
            ("CPU per 1,000 tokens, whole reply", f"{self.cpu_s_per_1000:.3f} s"),
            ("from last token to end", f"{ms(self.end_ms)}, CPU {self.end_cpu_s:.2f} s"),
            ("page opened in the middle, caught up after", str(self.middle)),
            ("page opened after the end, there after", str(self.after)),
            *((f"longest stall while {when}", ms(stall)) for when, stall in self.stalls_ms.items()),
            ("peak memory", f"{self.peak_rss_mb:.0f} MB"),
            ("tokens lost", str(self.wrong)),
            ("machine, busy with others", f"{self.others_busy:.0%}"),
        ]


@dataclass(frozen=True)
class LongReply:
    """``part``: how many tokens at the beginning and at the end are compared."""

    any_server: ClassVar[bool] = False  # only Parley has pages that stay open

    name: str
    reply: Workload
    part: int = 1000
    rounds: int = 1
    servers: tuple[str, ...] = ("parley",)
    users: int = 2

    @property
    def title(self) -> str:
        return f"one reply of {self.reply.tokens:,} tokens {self.reply.pace}"

    def about(self) -> dict[str, Any]:
        return asdict(self) | {"title": self.title}

    async def run(self, server: Running, provider_pid: int) -> tuple[LongFigures, list[Recording]]:
        asker, late, other = (server.user(number) for number in (0, 0, 1))
        for user in (asker, other):
            await warm_up(user)
            await user.prepare()
        meter = meter_of(server, provider_pid)
        clocks = [Tree(pid).clock() for pid in server.parts.values()]
        cpu: Samples = []
        async with (
            every(SAMPLE_S, lambda: cpu.append((time.monotonic_ns(), sum(c() for c in clocks)))),
            every(PING_S, other.view.ping),
        ):
            with measuring(meter):
                question, patience_s = self.reply.question, self.reply.patience_s
                asked = asyncio.create_task(asker.ask(question, patience_s))
                async with asyncio.timeout(patience_s):
                    middle = await self._open_in_the_middle(late, asker)
                recording = await asked
                await asyncio.sleep(SETTLE_S)
            await asyncio.sleep(AFTER_S)
            say("  opening its page after the end")
            after = await open_page(late, asker)
            await asyncio.sleep(SETTLE_S)
        await asker.check(recording)
        figures = self._figures(asker.view, middle, after, cpu, other.view.pongs, meter.usage())
        for user in (asker, late, other):
            await user.close()
        return figures, [recording]

    async def _open_in_the_middle(self, late: ParleyUser, asker: ParleyUser) -> "Opened":
        await asker.view.begun.wait()
        await asyncio.sleep(self.reply.tokens / self.reply.rate / 2)
        say("  opening its page in the middle")
        opened = await open_page(late, asker)
        await opened.view.begun.wait()
        await asyncio.sleep(WATCHED_S)
        late.leave()
        return opened

    def _figures(
        self,
        view: View,
        middle: "Opened",
        after: "Opened",
        cpu: Samples,
        pongs: Sequence[tuple[int, int]],
        usage: Usage,
    ) -> LongFigures:
        tokens, late = view.recording.tokens(), middle.view.recording.tokens()
        if len(tokens) < 2 * self.part:
            raise LookupError(f"{len(tokens)} tokens came: {view.recording.problem}")
        seen = sorted(when * 1000 for when, *_ in tokens.values())
        first, last, settled = seen[0], seen[-1], view.ended_at + int(SETTLE_S * 1e9)
        caught_up, left = middle.caught_up(tokens), middle.view.recording.reads[-1][0]
        spans = {
            "it is written": [(first, middle.started), (left, last)],
            "the page opens in the middle": [(middle.started, left)],
            "it ends": [(last, settled)],
            "the page opens after the end": [(after.started, after.opened + int(SETTLE_S * 1e9))],
        }

        def used(start: int, end: int) -> float:
            return at(cpu, end) - at(cpu, start)

        return LongFigures(
            part=self.part,
            first_us=used(first, seen[self.part]) / self.part * 1e6,
            last_us=used(seen[-self.part], last) / self.part * 1e6,
            cpu_s_per_1000=usage.server_s / len(tokens) * 1000,
            end_ms=(view.ended_at - last) / 1e6,
            end_cpu_s=used(last, settled),
            middle=middle.figures(caught_up, settled=caught_up + 999),  # µs were cut off
            after=after.figures(after.opened, settled=after.opened + int(SETTLE_S * 1e9)),
            stalls_ms={when: worst(pongs, times) for when, times in spans.items()},
            peak_rss_mb=usage.peak_rss_mb,
            others_busy=usage.others_busy,
            lost=self.reply.tokens - len(tokens),
            middle_lost=max(late) + 1 - len(late),
            misstored=view.recording.misstored(self.reply.tokens),
            failed=int(bool(view.recording.problem)),
        )


@dataclass
class Opened:
    """A page of the conversation that was opened later. Times in ns."""

    started: int
    opened: int
    page_bytes: int
    view: View

    def caught_up(self, first: Seen) -> int:
        """When this page had, for the first time, a token at about the same time as the first."""
        mine = self.view.recording.tokens()
        for token in sorted(mine.keys() & first.keys()):
            if mine[token][0] <= first[token][0] + TOGETHER_US:
                return mine[token][0] * 1000
        raise LookupError("the page that opened in the middle was never caught up")

    def figures(self, there: int, settled: int) -> LateFigures:
        """``there``: when it showed all; ``settled``: until when its frames belong to that."""
        frames = sum(len(data) for when, data in self.view.recording.reads if when <= settled)
        return LateFigures((there - self.started) / 1e6, self.page_bytes / 1024, frames / 1024)


async def open_page(late: ParleyUser, asker: ParleyUser) -> Opened:
    started = time.monotonic_ns()
    await late.open(asker.page.conversation)
    return Opened(started, time.monotonic_ns(), late.page.size, late.view)


@contextlib.asynccontextmanager
async def every(seconds: float, call: Callable[[], None]) -> AsyncIterator[None]:
    async def repeat() -> None:
        while True:
            call()
            await asyncio.sleep(seconds)

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def at(samples: Samples, moment: int) -> float:
    """The reading at this moment, between two samples in proportion."""
    after = bisect_right(samples, (moment, math.inf))
    if not 0 < after < len(samples):
        return samples[min(after, len(samples) - 1)][1]
    (before_ns, before), (after_ns, reading) = samples[after - 1], samples[after]
    return before + (reading - before) * (moment - before_ns) / (after_ns - before_ns)


def worst(pongs: Sequence[tuple[int, int]], times: Sequence[tuple[int, int]]) -> float:
    """The longest wait, in ms, for the answer to a ping that was sent in one of these times."""
    return max(
        (
            (came - sent) / 1e6
            for came, sent in pongs
            if any(start <= sent <= end for start, end in times)
        ),
        default=0.0,
    )
