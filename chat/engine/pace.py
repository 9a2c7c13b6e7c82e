"""How a reply grew, and how evenly: what is measured while it streams. Pure.

Called once for each piece that the provider's connection brings, so it does next to nothing.
"""

import math
from collections import Counter
from dataclasses import dataclass, field

POINTS_MAX = 4_000
POINT_GAP_MS = 20  # of what a screen shows in one frame, one point is enough
STEPS_PER_OCTAVE = 8  # of the histogram: a gap is known to within 5 %
GAP_MIN_MS = 0.1

Point = tuple[int, int, int]


class Growth:
    """How many characters there were when: milliseconds, of text, of reasoning.

    Bounded: when there are too many points, every second one goes and the grid becomes twice as
    coarse. The first and the newest always stay, and so does every character.
    """

    def __init__(self, points_max: int = POINTS_MAX) -> None:
        self.points: list[Point] = []
        self._points_max = points_max
        self._gap_ms = POINT_GAP_MS

    def add(self, ms: int, text_chars: int, reasoning_chars: int) -> None:
        points, point = self.points, (ms, text_chars, reasoning_chars)
        if len(points) > 1 and ms - points[-2][0] < self._gap_ms:
            points[-1] = point
            return
        points.append(point)
        if len(points) > self._points_max:
            del points[1:-1:2]
            self._gap_ms *= 2


class Gaps:
    """A histogram of milliseconds between tokens, of a few hundred bins at most."""

    def __init__(self) -> None:
        self._bins: Counter[int] = Counter()
        self._count = 0

    def add(self, ms: float, times: int = 1) -> None:
        steps = math.log2(ms / GAP_MIN_MS) * STEPS_PER_OCTAVE if ms > GAP_MIN_MS else -1.0
        self._bins[math.floor(steps)] += times
        self._count += times

    def percentile(self, share: float) -> float | None:
        """The smallest gap that so many are not above, to within 5 %; None of nothing."""
        wanted = max(1, math.ceil(share * self._count))
        passed = 0
        for step in sorted(self._bins):
            passed += self._bins[step]
            if passed >= wanted:
                middle = GAP_MIN_MS * 2 ** ((step + 0.5) / STEPS_PER_OCTAVE)
                return round(middle, 3) if step >= 0 else 0.0
        return None


@dataclass(slots=True)
class Pace:
    """The times of one reply, in seconds of a monotonic clock as ``now`` gives them."""

    began_at: float | None = None  # the first request
    writing_s: float = 0.0  # in which deltas came, without what lies between two requests
    growth: Growth = field(default_factory=Growth)
    gaps: Gaps = field(default_factory=Gaps)
    _heard_at: float | None = None
    _said_at: float | None = None

    def request(self, now: float) -> None:
        """A request begins: what passed since the last delta is not the model's writing."""
        if self.began_at is None:
            self.began_at = now
        self._heard_at = self._said_at = None

    def take(self, now: float, said: int, text_chars: int, reasoning_chars: int) -> None:
        """Deltas came, ``said`` of them with text; so much of the reply is there now."""
        assert self.began_at is not None, "request first"
        if self._heard_at is not None:
            self.writing_s += now - self._heard_at
        self._heard_at = now
        if said:
            if self._said_at is not None:
                self.gaps.add((now - self._said_at) * 1000)
            if said > 1:  # what comes together comes without a gap
                self.gaps.add(0.0, said - 1)
            self._said_at = now
        points = self.growth.points
        if (text_chars, reasoning_chars) != (points[-1][1:] if points else (0, 0)):
            ms = round((now - self.began_at) * 1000)
            self.growth.add(ms, text_chars, reasoning_chars)
