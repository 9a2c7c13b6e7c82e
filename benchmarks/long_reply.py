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
from .usage import Tree
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
class LongFigures:
    """``first_us`` and ``last_us``: CPU per token of the first and the last ``part`` tokens. A
    stall is the longest time that a ping on another page's socket waited for its answer."""

    part: int
    first_us: float
    last_us: float
    cpu_s_per_1000: float | None
    end_ms: float
    end_cpu_s: float
    middle_tokens: float
    middle_ms: float
    middle_page_kb: float
    middle_socket_kb: float
    after_ms: float
    after_page_kb: float
    after_socket_kb: float
    writing_stall_ms: float
    middle_stall_ms: float
    end_stall_ms: float
    after_stall_ms: float
    peak_rss_mb: float | None
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
            (
                "from the last token to the end",
                f"{ms(self.end_ms)}, CPU {self.end_cpu_s:.2f} s",
            ),
            (
                "page opened in the middle, caught up after",
                f"{ms(self.middle_ms)} ({self.middle_tokens:,.0f} tokens; page "
                f"{self.middle_page_kb:,.0f} KB, socket {self.middle_socket_kb:,.0f} KB)",
            ),
            (
                "page opened after the end, there after",
                f"{ms(self.after_ms)} (page {self.after_page_kb:,.0f} KB, socket "
                f"{self.after_socket_kb:,.0f} KB)",
            ),
            ("longest stall while it is written", ms(self.writing_stall_ms)),
            ("… while the page opens in the middle", ms(self.middle_stall_ms)),
            ("… while it ends", ms(self.end_stall_ms)),
            ("… while the page opens after the end", ms(self.after_stall_ms)),
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
                middle = await self._open_in_the_middle(late, asker)
                recording = await asked
                await asyncio.sleep(SETTLE_S)
            await asyncio.sleep(AFTER_S)
            say("  opening its page after the end")
            after = await open_page(late, asker)
            await asyncio.sleep(SETTLE_S)
        await asker.check(recording)
        figures = self._figures(recording, asker.view, middle, after, cpu, other.view.pongs)
        usage = meter.usage()
        figures.cpu_s_per_1000 = usage.server_s / self.reply.tokens * 1000
        figures.peak_rss_mb, figures.others_busy = usage.peak_rss_mb, usage.others_busy
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
        recording: Recording,
        view: View,
        middle: "Opened",
        after: "Opened",
        cpu: Samples,
        pongs: Sequence[tuple[int, int]],
    ) -> LongFigures:
        tokens, late = recording.tokens(), middle.view.recording.tokens()
        count, part = self.reply.tokens, self.part
        written = [tokens[n][0] * 1000 if n in tokens else 0 for n in range(count)]
        last = max(written)
        caught_up = first_together(tokens, late)
        left = middle.view.recording.reads[-1][0]
        settled = view.ended_at + int(SETTLE_S * 1e9)

        def used(start: int, end: int) -> float:
            return at(cpu, end) - at(cpu, start)

        return LongFigures(
            part=part,
            first_us=used(written[0], written[part]) / part * 1e6,
            last_us=used(written[-part], last) / part * 1e6,
            cpu_s_per_1000=None,
            end_ms=(view.ended_at - last) / 1e6,
            end_cpu_s=used(last, settled),
            middle_tokens=math.nan if caught_up is None else caught_up,
            middle_ms=middle.until(late[caught_up][0] * 1000) if caught_up else math.nan,
            middle_page_kb=middle.page_bytes / 1024,
            middle_socket_kb=middle.until_bytes(late[caught_up][0] * 1000) / 1024
            if caught_up
            else math.nan,
            after_ms=after.until(after.opened),
            after_page_kb=after.page_bytes / 1024,
            after_socket_kb=after.view.recording.size / 1024,
            writing_stall_ms=max(
                worst(pongs, written[0], middle.started), worst(pongs, left, last)
            ),
            middle_stall_ms=worst(pongs, middle.started, left),
            end_stall_ms=worst(pongs, last, settled),
            after_stall_ms=worst(pongs, after.started, after.opened + int(SETTLE_S * 1e9)),
            peak_rss_mb=None,
            others_busy=0.0,
            lost=count - len(tokens),
            middle_lost=max(late, default=-1) + 1 - len(late),
            misstored=recording.misstored(count),
            failed=bool(recording.problem),
        )


@dataclass
class Opened:
    """A page of the conversation that was opened later. Times in ns."""

    started: int
    opened: int
    page_bytes: int
    view: View

    def until(self, moment: int) -> float:
        """Milliseconds since the page was asked for."""
        return (moment - self.started) / 1e6

    def until_bytes(self, moment: int) -> int:
        reads = self.view.recording.reads
        return sum(len(data) for when, data in reads if when // 1000 <= moment // 1000)


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


def first_together(first: Seen, second: Seen) -> int | None:
    """The first token that both pages had at about the same time."""
    for number in sorted(second):
        if number in first and second[number][0] <= first[number][0] + TOGETHER_US:
            return number
    return None


def at(samples: Samples, moment: int) -> float:
    """The reading at this moment, between two samples in proportion."""
    after = bisect_right(samples, (moment, math.inf))
    if not 0 < after < len(samples):
        return samples[min(after, len(samples) - 1)][1]
    (before_ns, before), (after_ns, reading) = samples[after - 1], samples[after]
    return before + (reading - before) * (moment - before_ns) / (after_ns - before_ns)


def worst(pongs: Sequence[tuple[int, int]], start: int, end: int) -> float:
    """The longest wait, in ms, for the answer to a ping that was sent between these moments."""
    return max(((came - sent) / 1e6 for came, sent in pongs if start <= sent <= end), default=0.0)
