"""Users who ask at the same time, and what the servers are compared by."""

import asyncio
import gc
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from .clients import User
from .measure import Figures, Recording
from .processes import Running
from .progress import Count, say
from .usage import Meter, Tree

WARM_UP = "bench tokens=20 rate=0"  # one reply before measuring: every server has loaded its code
OPENING = 10  # pages opened at the same time while preparing; not measured
SETTLE_S = 0.3  # the window stays open for what a server does after the last token
BASELINES = ("direct", "tutorial", "parley")
DEPLOYMENTS = ("direct", "parley", "parley-2+1")


@dataclass(frozen=True)
class Workload:
    """``users`` at the same time, ``replies`` each, one after another; ``rounds`` of all that.

    ramp_s: over how long the users' starts are spread (0: all in the same instant).
    paragraph: tokens in a paragraph of the reply (0: one endless paragraph).
    """

    any_server: ClassVar[bool] = True

    name: str
    users: int
    tokens: int
    rate: float
    replies: int = 1
    rounds: int = 1
    ramp_s: float = 0.0
    paragraph: int = 40
    servers: tuple[str, ...] = BASELINES

    @property
    def title(self) -> str:
        users = "1 user" if self.users == 1 else f"{self.users} users"
        replies = f", {self.replies} replies" if self.replies > 1 else ""
        each = " each" if self.users > 1 else ""
        ramp = f", starts spread over {self.ramp_s:g} s" if self.ramp_s else ""
        return f"{users}, {self.tokens:,} tokens {self.pace}{each}{replies}{ramp}"

    @property
    def pace(self) -> str:
        return f"at {self.rate:g} tokens/s" if self.rate else "as fast as it goes"

    @property
    def question(self) -> str:
        return f"bench tokens={self.tokens} rate={self.rate:g} paragraph={self.paragraph}"

    @property
    def patience_s(self) -> float:
        return 60 + self.users / 5 + (self.tokens / self.rate if self.rate else 0)

    async def run(self, server: Running, provider_pid: int) -> tuple[Figures, list[Recording]]:
        users = [server.user(number) for number in range(self.users)]
        for user in users[: server.places]:
            await warm_up(user)
        figures, recordings = await compare(self, users, server, provider_pid)
        for user in users:
            await user.close()
        return figures, recordings

    def about(self) -> dict[str, Any]:
        return asdict(self) | {"title": self.title}


async def warm_up(user: User) -> None:
    await user.prepare()
    await user.ask(WARM_UP, patience_s=60)


async def compare(
    workload: Workload, users: Sequence[User], server: Running, provider_pid: int
) -> tuple[Figures, list[Recording]]:
    """What these users' replies cost, and what they got."""
    meter = meter_of(server, provider_pid)
    recordings: list[Recording] = []
    seconds = 0.0
    for _ in range(workload.replies):
        await prepare(users)
        with measuring(meter):
            fresh = await ask(workload, users)
            await asyncio.sleep(SETTLE_S)
        seconds += asked_for(fresh)
        await check(users, fresh, workload.tokens)
        recordings += fresh
    usage = meter.usage()
    return Figures.of(recordings, workload.tokens, seconds, usage), recordings


def meter_of(server: Running, provider_pid: int) -> Meter:
    trees = {name: Tree(pid) for name, pid in server.parts.items()}
    return Meter(trees, [os.getpid(), provider_pid])


@contextmanager
def measuring(meter: Meter) -> Iterator[None]:
    """One window. Collecting garbage in it would be taken for the server's latency."""
    gc.collect()
    gc.freeze()
    gc.disable()
    meter.open()
    yield
    meter.close()
    gc.enable()
    gc.unfreeze()


async def prepare(users: Sequence[User]) -> None:
    opened, at_once = Count(len(users), "pages opened"), asyncio.Semaphore(OPENING)

    async def one(user: User) -> None:
        async with at_once:
            await user.prepare()
        opened.add()

    await asyncio.gather(*map(one, users))


async def ask(workload: Workload, users: Sequence[User]) -> list[Recording]:
    finished = Count(len(users), "replies finished")

    async def one(number: int, user: User) -> Recording:
        await asyncio.sleep(workload.ramp_s * number / len(users))
        recording = await user.ask(workload.question, workload.patience_s)
        finished.add()
        return recording

    asked = [asyncio.create_task(one(number, user)) for number, user in enumerate(users)]
    return await asyncio.gather(*asked)


async def check(users: Sequence[User], recordings: Sequence[Recording], expected: int) -> None:
    """Looks at what was kept of the replies that came to their end."""
    checked = Count(len(users), "replies read anew")
    for number, (user, recording) in enumerate(zip(users, recordings, strict=True)):
        if not recording.problem:
            await user.check(recording)
        if recording.misstored(expected):
            lacking, repeated = recording.differences(expected)
            say(f"  user {number}: the reply lacks {lacking}, repeats {repeated}")
        checked.add()


def asked_for(recordings: Sequence[Recording]) -> float:
    """From the first question to the last bytes of an answer, in seconds."""
    first = min(recording.started for recording in recordings)
    last = max((r.reads[-1][0] for r in recordings if r.reads), default=time.monotonic_ns())
    return (last - first) / 1e9
