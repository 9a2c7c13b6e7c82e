"""What waits at this moment. Gauges: unlike the counters, they may go down."""

import threading
import time
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Count

from chat.models import Verdict
from chat.operate.figures import Waiting

VERDICTS_EVERY_S = 60.0  # it counts a whole table; what waits is counted each time


def age_s(found: Waiting, now: datetime) -> float:
    return max(0.0, (now - found.oldest).total_seconds()) if found.oldest else 0.0


@dataclass(slots=True)
class Verdicts:
    """Counts of all verdicts by state and backend, at most a minute old."""

    _counted_at: float = float("-inf")
    _counts: tuple[tuple[str, str, int], ...] = ()
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def counts(self) -> tuple[tuple[str, str, int], ...]:
        with self._lock:
            if time.monotonic() - self._counted_at >= VERDICTS_EVERY_S:
                rows = Verdict.objects.values_list("state", "backend").annotate(count=Count("*"))
                self._counts = tuple(rows.order_by("state", "backend"))
                self._counted_at = time.monotonic()
            return self._counts


VERDICTS = Verdicts()
