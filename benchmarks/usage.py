"""What processes used while tokens were awaited: CPU time and memory."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

QUIET_PERCENT = 10  # of all cores
Readings = dict[str, float]


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

    def rss_mb(self) -> float:
        """What is resident now."""
        return sum(process.memory_info().rss for process in self._processes()) / 2**20

    def clock(self) -> Callable[[], float]:
        """CPU seconds of the processes that there are now, cheaply: for asking all the time."""
        pids = [process.pid for process in self._processes()]
        return lambda: sum(map(process_cpu_s, pids))


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
    """What ran while tokens were awaited, for ``seconds``. ``shares`` of the server's CPU by the
    parts of it; the other shares are of all cores. ``others_busy`` is what had nothing to do with
    the benchmark: above a few percent the figures are worth less."""

    seconds: float
    server_s: float | None
    shares: dict[str, float]
    peak_rss_mb: float | None
    bench_s: float
    machine_busy: float
    others_busy: float


class Meter:
    """Adds up what was used between open() and close(), over any number of such windows.

    server: the trees under test, by name. bench: pids of the client and the provider.
    """

    def __init__(self, server: Mapping[str, Tree], bench: Sequence[int]) -> None:
        self._server, self._bench = server, bench
        self._used: Readings = {}
        self._at: Readings = {}

    def open(self) -> None:
        self._at = self._reading()

    def close(self) -> None:
        now = self._reading()
        self._used = {
            what: self._used.get(what, 0.0) + value - self._at[what] for what, value in now.items()
        }

    def _reading(self) -> Readings:
        machine = psutil.cpu_times()
        idle = machine.idle + getattr(machine, "iowait", 0.0)
        # guest time is part of user time
        whole = sum(machine) - getattr(machine, "guest", 0.0) - getattr(machine, "guest_nice", 0.0)
        return {
            "seconds": time.monotonic(),
            "bench": sum(map(process_cpu_s, self._bench)),
            "busy": whole - idle,
            "whole": whole,
            **{f"server {name}": tree.cpu_s() for name, tree in self._server.items()},
        }

    def usage(self) -> Usage:
        parts = {name: self._used[f"server {name}"] for name in self._server}
        server = sum(parts.values())
        busy, whole, bench = (self._used[what] for what in ("busy", "whole", "bench"))
        # PostgreSQL's processes share most of their memory: added up it would be counted many times
        peaks = [tree.peak_rss_mb() for name, tree in self._server.items() if name != "PostgreSQL"]
        return Usage(
            seconds=self._used["seconds"],
            server_s=server if parts else None,
            shares={name: part / server if server else 0.0 for name, part in parts.items()},
            peak_rss_mb=sum(peaks) if parts else None,
            bench_s=bench,
            machine_busy=max(0.0, busy / whole) if whole else 0.0,
            others_busy=max(0.0, (busy - server - bench) / whole) if whole else 0.0,
        )


def wait_until_quiet(patience_s: float) -> None:
    """Waits, for a while, until nothing else uses the machine."""
    deadline = time.monotonic() + patience_s
    while psutil.cpu_percent(interval=0.5) > QUIET_PERCENT and time.monotonic() < deadline:
        pass
