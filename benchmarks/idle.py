"""A thousand pages that are open and quiet: what they hold, what they cost, whom they disturb."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from .measure import ADDED, Figures, Recording
from .parley import ParleyUser
from .processes import Running
from .progress import say
from .usage import Tree
from .wording import compared
from .workloads import Workload, compare, measuring, meter_of, prepare, warm_up

# Pages opened and left before memory is read: what rendering a page takes once is not a socket's.
FIRST_PAGES = 60
SETTLE_S = 5.0


@dataclass
class IdleFigures:
    """cpu_s_per_min: of the server's processes, while nobody asks anything."""

    sockets: int
    kb_per_socket: float
    empty_cpu_s_per_min: float
    idle_cpu_s_per_min: float
    closed: int = field(metadata=ADDED)
    alone: Figures
    beside: Figures

    @property
    def wrong(self) -> int:
        return self.closed + self.alone.wrong + self.beside.wrong

    def lines(self) -> list[tuple[str, str]]:
        alone, beside = self.alone, self.beside
        empty_us, idle_us = self._own_us(alone), self._own_us(beside)
        return [
            ("memory per idle socket", f"{self.kb_per_socket:.0f} KB"),
            ("CPU of an idle server, no socket", f"{self.empty_cpu_s_per_min:.2f} s per minute"),
            (
                f"CPU of an idle server, {self.sockets:,} sockets",
                f"{self.idle_cpu_s_per_min:.2f} s per minute",
            ),
            ("sockets that were closed", str(self.closed)),
            ("a reply beside them: CPU per token", compared(empty_us, idle_us, "µs")),
            ("TTFT + p50", compared(alone.ttft_p50, beside.ttft_p50, "ms")),
            ("token + p50", compared(alone.token_p50, beside.token_p50, "ms")),
            ("token + p99", compared(alone.token_p99, beside.token_p99, "ms")),
            ("tokens lost", str(alone.wrong + beside.wrong)),
        ]

    def _own_us(self, figures: Figures) -> float:
        """CPU per token, less what the server uses in the same time without the reply."""
        per_min = self.empty_cpu_s_per_min if figures is self.alone else self.idle_cpu_s_per_min
        assert figures.cpu_s_per_1000 is not None
        idle_s = per_min / 60 * figures.window_s
        return 1000 * figures.cpu_s_per_1000 - 1e6 * idle_s / max(figures.tokens, 1)


@dataclass(frozen=True)
class Idle:
    any_server: ClassVar[bool] = False  # only Parley has pages that stay open

    name: str
    sockets: int
    idle_s: float
    reply: Workload
    rounds: int = 1
    servers: tuple[str, ...] = ("parley",)

    @property
    def title(self) -> str:
        return f"{self.sockets:,} idle sockets, and beside them {self.reply.title}"

    @property
    def users(self) -> int:
        return self.sockets + 1

    async def run(self, server: Running, provider_pid: int) -> tuple[IdleFigures, list[Recording]]:
        asker, *quiet = [server.user(number) for number in range(self.users)]
        assert all(isinstance(user, ParleyUser) for user in quiet)
        for user in [asker, *quiet][: server.places]:
            await warm_up(user)
        await prepare(quiet[:FIRST_PAGES])
        await leave(quiet[:FIRST_PAGES])
        say("  nobody is there")
        empty = await self._rest(server, provider_pid)
        say("  a reply, alone")
        alone, replies = await compare(self.reply, [asker], server, provider_pid)
        before = memory_mb(server)
        say(f"  opening {self.sockets:,} pages")
        await prepare(quiet)
        for user in quiet:
            user.hang_up()
        await asyncio.sleep(SETTLE_S)
        after = memory_mb(server)
        say("  they are idle")
        idle = await self._rest(server, provider_pid)
        say("  a reply, beside them")
        beside, more = await compare(self.reply, [asker], server, provider_pid)
        say("  they are idle again")
        # The mean of before and after: a reply is a small part of what a thousand sockets cost.
        idle = (idle + await self._rest(server, provider_pid)) / 2
        closed = sum(user.view is None or not user.view.is_open for user in quiet)
        await leave([asker, *quiet])
        figures = IdleFigures(
            sockets=self.sockets,
            kb_per_socket=(after - before) * 1024 / self.sockets,
            empty_cpu_s_per_min=empty,
            idle_cpu_s_per_min=idle,
            closed=closed,
            alone=alone,
            beside=beside,
        )
        return figures, replies + more

    async def _rest(self, server: Running, provider_pid: int) -> float:
        """CPU seconds per minute of the server while nothing is asked of it."""
        meter = meter_of(server, provider_pid)
        with measuring(meter):
            await asyncio.sleep(self.idle_s)
        usage = meter.usage()
        assert usage.server_s is not None
        return usage.server_s / usage.seconds * 60

    def about(self) -> dict[str, Any]:
        return asdict(self) | {"title": self.title}


async def leave(users: Sequence[ParleyUser]) -> None:
    for user in users:
        await user.close()
    await asyncio.sleep(1)


def memory_mb(server: Running) -> float:
    return sum(Tree(pid).rss_mb() for pid in server.parts.values())
