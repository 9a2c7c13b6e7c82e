"""Counters and histograms of the whole installation, from the ledger.

The ledger only grows, and its rows stay when conversations are purged: so the totals are the same
from whichever process they come, survive restarts and never decrease. What is older than an hour
changes no more: its sum is kept in the process, and each scrape reads what came since.
"""

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Case, Count, F, IntegerField, Max, Min, QuerySet, Sum, Value, When

from chat.metrics import names
from chat.models import Purpose, Usage

SETTLED_AFTER = timedelta(hours=1)  # a perceived time may come late, a row a little out of order
MODELS_MAX = 50
OTHER, NONE = "other", "none"

# Which field of the ledger a histogram is of, and how many of its units make one of the metric's.
MEASURES: dict[str, tuple[names.Metric, int]] = {
    "ttft_provider_ms": (names.TTFT_PROVIDER, 1000),
    "ttft_served_ms": (names.TTFT_SERVED, 1000),
    "ttft_perceived_ms": (names.TTFT_PERCEIVED, 1000),
    "inter_token_p95_ms": (names.INTER_TOKEN, 1000),
    "tokens_per_second": (names.SPEED, 1),
}
SUMMED = ("calls", "prompt_tokens", "completion_tokens", "cost")
GROUPED = ("purpose", "model", "transport", "state", "stop_reason", "error_kind")

Key = tuple[str, ...]


@dataclass(slots=True)
class Histogram:
    """How many are in each bin (the last one has no upper bound), and their sum."""

    bins: Counter[int] = field(default_factory=Counter)
    sum: float = 0.0


@dataclass(slots=True)
class Totals:
    """``counted``: by the fields of GROUPED, the number of rows and the sums of SUMMED.

    ``measured``: by field, then by model and transport.
    """

    counted: dict[Key, list[Any]] = field(default_factory=dict)
    measured: dict[str, dict[Key, Histogram]] = field(
        default_factory=lambda: {name: {} for name in MEASURES}
    )
    models: list[str] = field(default_factory=list)  # in the order in which they were first seen

    def add(self, rows: QuerySet[Usage]) -> None:
        """Add what is in these rows, all of which are newer than those before."""
        seen = rows.values_list("model").annotate(first=Min("pk")).order_by("first")
        self.models += [model for model, _ in seen if model not in self.models]
        sums = [Sum(name) for name in SUMMED]
        for *group, count, calls, prompt, completion, cost in rows.values_list(*GROUPED).annotate(
            Count("pk"), *sums
        ):
            self._count((*group,), [count, calls, prompt, completion, cost])
        for name in MEASURES:
            for model, transport, bin_, count, total in _bins(rows, name):
                found = self.measured[name].setdefault((model, transport), Histogram())
                found.bins[bin_] += count
                found.sum += total

    def _count(self, group: Key, found: list[Any]) -> None:
        before = self.counted.get(group)
        if before is None:
            self.counted[group] = found
            return
        costs = [one for one in (before[-1], found[-1]) if one is not None]
        numbers = [a + b for a, b in zip(before[:-1], found[:-1], strict=True)]
        self.counted[group] = [*numbers, sum(costs, Decimal()) if costs else None]

    def copy(self) -> "Totals":
        return Totals(
            dict(self.counted),
            {
                name: {key: Histogram(one.bins.copy(), one.sum) for key, one in found.items()}
                for name, found in self.measured.items()
            },
            list(self.models),
        )

    def label(self, model: str) -> str:
        """A model's name as a label. The first ones keep theirs: no counter may change its name."""
        return (model or NONE) if model in self.models[:MODELS_MAX] else OTHER


def _bins(rows: QuerySet[Usage], name: str) -> Iterable[tuple[str, str, int, int, float]]:
    metric, unit = MEASURES[name]
    bounds = enumerate(metric.bounds)
    whens = [When(**{f"{name}__lte": bound * unit}, then=Value(number)) for number, bound in bounds]
    last = Value(len(metric.bounds))
    known = rows.filter(**{"purpose": Purpose.REPLY, f"{name}__isnull": False})
    binned = known.annotate(bin=Case(*whens, default=last, output_field=IntegerField()))
    found = binned.values_list("model", "transport", "bin").annotate(Count("pk"), Sum(F(name)))
    for model, transport, bin_, count, total in found:
        yield model, transport, bin_, count, total / unit


class Ledger:
    """The totals at any moment, with those of the settled part kept."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._settled = Totals()
        self._until = 0  # the last row that is in them

    def totals(self, now: datetime) -> Totals:
        """Synchronous; the first call reads the whole ledger."""
        with self._lock:
            recent = Usage.objects.filter(pk__gt=self._until)
            young = recent.filter(ended_at__gte=now - SETTLED_AFTER)
            first = young.aggregate(found=Min("pk"))["found"]
            newest = recent.aggregate(found=Max("pk"))["found"] or self._until
            until = newest if first is None else first - 1
            if until > self._until:
                settled = self._settled.copy()  # a query that fails leaves it as it was
                settled.add(recent.filter(pk__lte=until))
                self._settled, self._until = settled, until
            found = self._settled.copy()
            found.add(Usage.objects.filter(pk__gt=until))
            return found


LEDGER = Ledger()
