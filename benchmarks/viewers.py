"""Ten pages that watch the same reply, beside one: what do nine more cost?"""

import asyncio
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from .measure import Figures, Recording
from .processes import Running
from .progress import say
from .usage import Meter
from .wording import compared
from .workloads import SETTLE_S, Workload, asked_for, measuring, meter_of, warm_up


@dataclass
class ViewersFigures:
    viewers: int
    one: Figures
    all: Figures

    @property
    def wrong(self) -> int:
        return self.one.wrong + self.all.wrong

    def lines(self) -> list[tuple[str, str]]:
        one, many = self.one, self.all
        assert one.cpu_s_per_1000 is not None
        assert many.cpu_s_per_1000 is not None
        more = (many.cpu_s_per_1000 - one.cpu_s_per_1000) / (self.viewers - 1)
        return [
            (
                f"CPU per token, one viewer → {self.viewers}",
                compared(one.cpu_s_per_1000 * 1000, many.cpu_s_per_1000 * 1000, "µs"),
            ),
            ("each further viewer", f"{more * 1000:.0f} µs per token"),
            ("TTFT + p50", compared(one.ttft_p50, many.ttft_p50, "ms")),
            ("token + p50", compared(one.token_p50, many.token_p50, "ms")),
            ("token + p99", compared(one.token_p99, many.token_p99, "ms")),
            ("tokens lost, over all viewers", str(self.wrong)),
            ("machine, busy with others", f"{one.others_busy:.0%}, {many.others_busy:.0%}"),
        ]


@dataclass(frozen=True)
class Viewers:
    any_server: ClassVar[bool] = False  # only Parley has pages that stay open

    name: str
    viewers: int
    reply: Workload
    rounds: int = 1
    servers: tuple[str, ...] = ("parley",)

    @property
    def title(self) -> str:
        return f"one reply watched by {self.viewers} pages, and by one: {self.reply.title}"

    @property
    def users(self) -> int:
        return self.viewers

    def about(self) -> dict[str, Any]:
        return asdict(self) | {"title": self.title}

    async def run(
        self, server: Running, provider_pid: int
    ) -> tuple[ViewersFigures, list[Recording]]:
        for place in range(server.places):
            await warm_up(server.user(0, place))
        meters = {count: meter_of(server, provider_pid) for count in (1, self.viewers)}
        recordings: dict[int, list[Recording]] = {count: [] for count in meters}
        seconds = dict.fromkeys(meters, 0.0)
        # In turns: what disturbs the machine for a while disturbs both.
        for number in range(self.reply.replies):
            for count, meter in meters.items():
                say(f"  reply {number + 1}, {count} watching")
                fresh = await self._watched(server, count, meter)
                seconds[count] += asked_for(fresh)
                recordings[count] += fresh
        one, many = (
            Figures.of(
                recordings[count], self.reply.tokens, seconds[count], meter.usage(), viewers=count
            )
            for count, meter in meters.items()
        )
        return ViewersFigures(self.viewers, one, many), [
            r for rs in recordings.values() for r in rs
        ]

    async def _watched(self, server: Running, count: int, meter: Meter) -> list[Recording]:
        """One reply on so many pages of one user."""
        asker, *others = pages = [server.user(0, place) for place in range(count)]
        await asker.open()
        for other in others:
            await other.join(asker.page)
        await asyncio.sleep(1)
        question, patience_s = self.reply.question, self.reply.patience_s
        with measuring(meter):
            got = await asyncio.gather(
                asker.ask(question, patience_s), *(other.watch(patience_s) for other in others)
            )
            await asyncio.sleep(SETTLE_S)
        await asker.check(got[0])
        for page in pages:
            await page.close()
        return got
