"""From recorded bytes to figures."""

import re
import statistics
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from itertools import accumulate
from typing import Any, Self

from .usage import Usage

# tests/fake_provider/stamped.py writes them: number, send time, and with the first the arrival.
TOKEN = re.compile(rb"t(\d+)x(\d+)(?:a(\d+))?z")
ADDED = {"rounds": "added"}  # on a figure of which rounds are added up rather than compared


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

    @property
    def size(self) -> int:
        return sum(len(data) for _, data in self.reads)

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
        """How many tokens the later page lacks or repeats."""
        return sum(map(len, self.differences(expected)))

    def differences(self, expected: int) -> tuple[list[int], list[int]]:
        """The tokens that the later page lacks, and those that it repeats."""
        if self.stored is None:
            return [], []
        shown = Counter(int(match[1]) for match in TOKEN.finditer(self.stored))
        lacking = [number for number in range(expected) if number not in shown]
        return lacking, sorted((shown - Counter(list(shown))).elements())


@dataclass
class Figures:
    """One server under one workload. Times in ms."""

    ttft_p50: float
    ttft_p99: float
    token_p50: float
    token_p99: float
    cpu_s_per_1000: float | None
    peak_rss_mb: float | None
    lost: int = field(metadata=ADDED)
    misstored: int = field(metadata=ADDED)
    failed: int = field(metadata=ADDED)
    tokens: int
    tokens_per_s: float
    at_once: int
    accepted_p50: float | None
    bench_us_per_token: float
    machine_busy: float
    others_busy: float
    cpu_shares: dict[str, float]
    window_s: float

    @classmethod
    def of(
        cls,
        recordings: Sequence[Recording],
        expected: int,
        seconds: float,
        usage: Usage,
        *,
        viewers: int = 1,
    ) -> Self:
        """``expected`` tokens in each recording; ``seconds`` is the sum of the asking windows.

        viewers: how many recordings there are of each reply, which cost its tokens but once.
        """
        waits, delays, received = [], [], 0
        for recording in recordings:
            tokens = recording.tokens()
            received += len(tokens)
            delays += [(seen - sent) / 1000 for seen, sent, _ in tokens.values()]
            if 0 in tokens:
                seen, sent, asked = tokens[0]
                waits.append((seen - recording.started // 1000 - (sent - asked)) / 1000)
        accepted = [(r.accepted - r.started) / 1e6 for r in recordings if r.accepted]
        thousands = max(received, 1) / viewers / 1000
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
            tokens=received // viewers,
            tokens_per_s=received / viewers / seconds if seconds else 0.0,
            at_once=at_once(recordings) // viewers,
            accepted_p50=percentile(accepted, 50) if accepted else None,
            bench_us_per_token=usage.bench_s * 1000 / thousands,
            machine_busy=usage.machine_busy,
            others_busy=usage.others_busy,
            cpu_shares=usage.shares,
            window_s=usage.seconds,
        )

    @property
    def wrong(self) -> int:
        return self.lost + self.misstored + self.failed


def middle(rounds: Sequence[Any]) -> Any:
    """The median of each figure of several rounds; of what must be zero, the sum."""
    values = {}
    for one in fields(rounds[0]):
        column = [getattr(figures, one.name) for figures in rounds]
        if one.metadata == ADDED:
            values[one.name] = sum(column)
        elif None in column:
            values[one.name] = None
        elif is_dataclass(column[0]):
            values[one.name] = middle(column)
        elif isinstance(column[0], dict):
            values[one.name] = {k: statistics.median(c[k] for c in column) for k in column[0]}
        else:
            values[one.name] = statistics.median(column)
    return type(rounds[0])(**values)


def at_once(recordings: Sequence[Recording]) -> int:
    """The most replies that were awaited at the same time."""
    steps = [(r.started, 1) for r in recordings if r.reads]
    steps += [(r.reads[-1][0], -1) for r in recordings if r.reads]
    return max(accumulate(step for _, step in sorted(steps)), default=0)


def percentile(values: Sequence[float], of_100: float) -> float:
    """Nearest rank: a value that was really measured."""
    if not values:
        return float("nan")
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, round(of_100 / 100 * (len(ranked) - 1)))]
