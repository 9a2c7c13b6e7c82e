"""From recorded bytes to figures, and what a process tree used."""

import re
import statistics
import time
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import accumulate
from pathlib import Path
from typing import Self

import psutil

# tests/fake_provider/stamped.py writes them: number, send time, and with the first the arrival.
TOKEN = re.compile(rb"t(\d+)x(\d+)(?:a(\d+))?z")
QUIET_PERCENT = 10  # of all cores


@dataclass
class Recording:
    """One reply as it arrived. The driver notes times and bytes; they are read after the run.

    reads: (CLOCK_MONOTONIC ns, bytes), a WebSocket message or a read of the socket each.
    messages: whether no token can span two reads.
    """

    reads: list[tuple[int, bytes]]
    messages: bool
    started: int = 0
    accepted: int = 0
    problem: str = ""
    stored: bytes | None = None  # the transcript as a later page shows it

    def tokens(self) -> dict[int, tuple[int, int, int]]:
        """Token number → when it was first seen, when it was sent, when the provider was asked
        (first token only), all in µs."""
        separator = b"\n" if self.messages else b""
        ends = list(accumulate(len(data) + len(separator) for _, data in self.reads))
        found: dict[int, tuple[int, int, int]] = {}
        for match in TOKEN.finditer(separator.join(data for _, data in self.reads)):
            number = int(match[1])
            if number not in found:
                read = bisect_right(ends, match.end() - 1)
                seen = self.reads[read][0] // 1000
                found[number] = (seen, int(match[2]), int(match[3] or 0))
        return found

    def misstored(self, expected: int) -> int:
        """Tokens that the later page lacks or repeats."""
        if self.stored is None:
            return 0
        shown = [int(match[1]) for match in TOKEN.finditer(self.stored)]
        return len(set(range(expected)) - set(shown)) + len(shown) - len(set(shown))


@dataclass
class Figures:
    """One server under one workload. Times in ms."""

    ttft_p50: float
    ttft_p99: float
    token_p50: float
    token_p99: float
    cpu_s_per_1000: float | None
    peak_rss_mb: float | None
    lost: int
    misstored: int
    failed: int
    tokens_per_s: float
    accepted_p50: float | None
    bench_us_per_token: float
    machine_busy: float
    others_busy: float

    @classmethod
    def of(
        cls,
        recordings: Sequence[Recording],
        expected: int,
        seconds: float,
        usage: "Usage",
    ) -> Self:
        """``expected`` tokens in each recording; ``seconds`` is the sum of the asking windows."""
        waits, delays, received = [], [], 0
        for recording in recordings:
            tokens = recording.tokens()
            received += len(tokens)
            delays += [(seen - sent) / 1000 for seen, sent, _ in tokens.values()]
            if 0 in tokens:
                seen, sent, asked = tokens[0]
                waits.append((seen - recording.started // 1000 - (sent - asked)) / 1000)
        accepted = [(r.accepted - r.started) / 1e6 for r in recordings if r.accepted]
        thousands = max(received, 1) / 1000
        return cls(
            ttft_p50=percentile(waits, 50),
            ttft_p99=percentile(waits, 99),
            token_p50=percentile(delays, 50),
            token_p99=percentile(delays, 99),
            cpu_s_per_1000=None if usage.server_s is None else usage.server_s / thousands,
            peak_rss_mb=usage.peak_rss_mb,
            lost=expected * len(recordings) - received,
            misstored=sum(recording.misstored(expected) for recording in recordings),
            failed=sum(bool(recording.problem) for recording in recordings),
            tokens_per_s=received / seconds if seconds else 0.0,
            accepted_p50=percentile(accepted, 50) if accepted else None,
            bench_us_per_token=usage.bench_s * 1000 / thousands,
            machine_busy=usage.machine_busy,
            others_busy=usage.others_busy,
        )

    @classmethod
    def middle(cls, rounds: Sequence[Self]) -> Self:
        """The median of each figure; of what must be zero, the sum."""
        values = {}
        for name in (field.name for field in fields(cls)):
            column = [getattr(one, name) for one in rounds]
            if name in ("lost", "misstored", "failed"):
                values[name] = sum(column)
            elif None in column:
                values[name] = None
            else:
                values[name] = statistics.median(column)
        return cls(**values)


def percentile(values: Sequence[float], of_100: float) -> float:
    """Nearest rank: a value that was really measured."""
    if not values:
        return float("nan")
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, round(of_100 / 100 * (len(ranked) - 1)))]


class Tree:
    """A process and its descendants."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)

    def _processes(self) -> list[psutil.Process]:
        return [self._root, *self._root.children(recursive=True)]

    def cpu_s(self) -> float:
        """CPU seconds so far, of ended children too."""
        total = 0.0
        for process in self._processes():
            try:
                times = process.cpu_times()
                total += times.children_user + times.children_system
                total += process_cpu_s(process.pid)
            except psutil.NoSuchProcess:
                continue
        return total

    def peak_rss_mb(self) -> float:
        """Each process's own peak, added up: an upper bound of the tree's."""
        return sum(_peak_rss(process) for process in self._processes()) / 2**20


def process_cpu_s(pid: int) -> float:
    """CPU seconds of one process, by its CPU clock (clock_getcpuclockid(3) makes the number so):
    nanoseconds, where psutil's ticks are 10 ms. psutil's where the system has no such clock."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        times = psutil.Process(pid).cpu_times()
        return times.user + times.system


def _peak_rss(process: psutil.Process) -> int:
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024
    except (OSError, TypeError):  # not Linux, or ended meanwhile
        return process.memory_info().rss if process.is_running() else 0


@dataclass
class Usage:
    """What ran while tokens were awaited. The shares are of all cores; ``others_busy`` is what
    had nothing to do with the benchmark: above a few percent the figures are worth less."""

    server_s: float | None
    peak_rss_mb: float | None
    bench_s: float
    machine_busy: float
    others_busy: float


class Meter:
    """Adds up what was used between open() and close(), over any number of such windows.

    server: the tree under test. bench: pids of the client and the provider.
    """

    def __init__(self, server: Tree | None, bench: Sequence[int]) -> None:
        self._server, self._bench = server, bench
        self._used = [0.0] * 4
        self._at: list[float] = []

    def open(self) -> None:
        self._at = self._reading()

    def close(self) -> None:
        now = self._reading()
        self._used = [used + b - a for used, a, b in zip(self._used, self._at, now, strict=True)]

    def _reading(self) -> list[float]:
        machine = psutil.cpu_times()
        idle = machine.idle + getattr(machine, "iowait", 0.0)
        # guest time is part of user time
        whole = sum(machine) - getattr(machine, "guest", 0.0) - getattr(machine, "guest_nice", 0.0)
        server = self._server.cpu_s() if self._server else 0.0
        return [server, sum(map(process_cpu_s, self._bench)), whole - idle, whole]

    def usage(self) -> Usage:
        server, bench, busy, whole = self._used
        return Usage(
            server_s=server if self._server else None,
            peak_rss_mb=self._server.peak_rss_mb() if self._server else None,
            bench_s=bench,
            machine_busy=max(0.0, busy / whole) if whole else 0.0,
            others_busy=max(0.0, (busy - server - bench) / whole) if whole else 0.0,
        )


def wait_until_quiet(patience_s: float) -> None:
    """Waits, for a while, until nothing else uses the machine."""
    deadline = time.monotonic() + patience_s
    while psutil.cpu_percent(interval=0.5) > QUIET_PERCENT and time.monotonic() < deadline:
        pass
