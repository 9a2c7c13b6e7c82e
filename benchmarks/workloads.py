"""What is asked of each server, and one run of it."""

import asyncio
import gc
import os
import time
from dataclasses import dataclass, replace

from .clients import User
from .measure import Figures, Meter, Recording, Tree
from .servers import Running

WARM_UP = "bench tokens=20 rate=0"  # one reply before measuring: every server has loaded its code
OPENING = 10  # pages opened at the same time while preparing; not measured
SETTLE_S = 0.3  # the window stays open for what a server does after the last token


@dataclass(frozen=True)
class Workload:
    """``users`` at the same time, ``replies`` each, one after another; ``rounds`` of all that.

    ramp_s: over how long the users' starts are spread (0: all in the same instant).
    paragraph: tokens in a paragraph of the reply (0: one endless paragraph).
    """

    name: str
    title: str
    users: int
    tokens: int
    rate: float
    replies: int
    rounds: int
    ramp_s: float = 0.0
    paragraph: int = 40

    @property
    def question(self) -> str:
        return f"bench tokens={self.tokens} rate={self.rate:g} paragraph={self.paragraph}"

    @property
    def patience_s(self) -> float:
        return 60 + (self.tokens / self.rate if self.rate else 0)


WORKLOADS = (
    Workload("one", "1 user, 200 tokens at 50 tokens/s, 10 replies", 1, 200, 50, 10, 1),
    Workload("hundred", "100 users, 200 tokens at 50 tokens/s each", 100, 200, 50, 1, 3),
    Workload("burst", "1 user, 5,000 tokens as fast as it goes", 1, 5000, 0, 1, 3),
)

QUICK = (
    replace(
        WORKLOADS[0], title="1 user, 50 tokens at 50 tokens/s, 3 replies", tokens=50, replies=3
    ),
    replace(WORKLOADS[1], title="100 users, 50 tokens at 50 tokens/s each", tokens=50, rounds=1),
    replace(WORKLOADS[2], title="1 user, 1,000 tokens as fast as it goes", tokens=1000, rounds=1),
)


async def run(
    workload: Workload, server: Running, provider_pid: int
) -> tuple[Figures, list[Recording]]:
    users = [server.user(number) for number in range(workload.users)]
    tree = Tree(server.pid) if server.pid is not None else None
    meter = Meter(tree, [os.getpid(), provider_pid])
    recordings: list[Recording] = []
    seconds = 0.0
    await users[0].prepare()
    await users[0].ask(WARM_UP, workload.patience_s)
    for _ in range(workload.replies):
        await prepare(users)
        # Collecting garbage here would be taken for the server's latency.
        gc.collect()
        gc.freeze()
        gc.disable()
        meter.open()
        fresh = await ask(workload, users)
        await asyncio.sleep(SETTLE_S)
        meter.close()
        gc.enable()
        gc.unfreeze()
        seconds += asked_for(fresh)
        for user, recording in zip(users, fresh, strict=True):
            if not recording.problem:
                await user.check(recording)
        recordings += fresh
    usage = meter.usage()
    for user in users:
        await user.close()
    return Figures.of(recordings, workload.tokens, seconds, usage), recordings


async def prepare(users: list[User]) -> None:
    for start in range(0, len(users), OPENING):
        await asyncio.gather(*(user.prepare() for user in users[start : start + OPENING]))


async def ask(workload: Workload, users: list[User]) -> list[Recording]:
    async def one(number: int, user: User) -> Recording:
        await asyncio.sleep(workload.ramp_s * number / len(users))
        return await user.ask(workload.question, workload.patience_s)

    asked = [asyncio.create_task(one(number, user)) for number, user in enumerate(users)]
    return await asyncio.gather(*asked)


def asked_for(recordings: list[Recording]) -> float:
    """From the first question to the last bytes of an answer, in seconds."""
    first = min(recording.started for recording in recordings)
    last = max((r.reads[-1][0] for r in recordings if r.reads), default=time.monotonic_ns())
    return (last - first) / 1e9
