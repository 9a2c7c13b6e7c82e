"""The figures behind the charts: how fast, how many, how they ended, what waits for reviewers.

Counts are exact. Percentiles are of at most ``ROWS_MAX`` replies: of more than that, of every
second one, every third one, and so on, by the number of the row.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import ceil

from django.db.models import Count, F, Q, Sum, Value
from django.db.models.functions import Mod

from chat.models import PaidFor, ReviewItem, Transport, Verdict
from chat.operate import figures
from chat.operate.periods import Asked

ROWS_MAX = 100_000
CHUNK = 5_000

TTFT = ("ttft_provider_ms", "ttft_served_ms", "ttft_perceived_ms")
MEASURED = (*TTFT, "tokens_per_second", "inter_token_p95_ms")


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """The smallest value that so many are not above (PostgreSQL's ``percentile_disc``)."""
    return ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else None


@dataclass(slots=True)
class Timings:
    """The sorted times of replies, by measure: of each step, of each model, of each transport."""

    replies: int = 0
    stride: int = 1  # 1: of all replies; 2: of every second one
    whole: dict[str, list[float]] = field(default_factory=dict)
    steps: dict[str, list[list[float]]] = field(default_factory=dict)
    models: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    transports: dict[str, dict[str, list[float]]] = field(default_factory=dict)


def timings(asked: Asked) -> Timings:
    rows = asked.usage().filter(purpose=PaidFor.REPLY)
    found = Timings(replies=rows.count())
    found.stride = max(1, ceil(found.replies / ROWS_MAX))
    if found.stride > 1:
        rows = rows.annotate(rest=Mod(F("pk"), Value(found.stride))).filter(rest=0)
    steps, count = asked.steps, asked.period.count
    found.whole = {name: [] for name in MEASURED}
    found.steps = {name: [[] for _ in range(count)] for name in MEASURED}
    found.models = {name: defaultdict(list) for name in TTFT}
    found.transports = {name: defaultdict(list) for name in TTFT}
    read = rows.values_list(asked.unit_of("ended_at"), "model", "transport", *MEASURED)
    for unit, model, transport, *values in read.iterator(chunk_size=CHUNK):
        step = steps.get(unit)
        if step is None:
            continue
        for name, value in zip(MEASURED, values, strict=True):
            if value is None:
                continue
            if name in found.models:
                found.transports[name][transport].append(value)
            if name == "ttft_served_ms" and transport == Transport.API_WHOLE != asked.transport:
                continue  # it is the time of the whole reply, beside those of first tokens
            found.steps[name][step].append(value)
            if name in found.models:
                found.models[name][model].append(value)
    for name in MEASURED:
        for one in found.steps[name]:
            found.whole[name] += one
            one.sort()
        found.whole[name].sort()
    for group in (*found.models.values(), *found.transports.values()):
        for one in group.values():
            one.sort()
    return found


@dataclass(frozen=True, slots=True)
class Ended:
    """So many generations that ended alike in one unit of time."""

    unit: str
    purpose: str
    model: str
    state: str
    stop_reason: str
    error_kind: str
    count: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost: Decimal | None
    unpriced: int | None  # tokens for which there was no price


def ended(asked: Asked) -> list[Ended]:
    groups = ("purpose", "model", "state", "stop_reason", "error_kind")
    sums = [Sum(name) for name in ("calls", "prompt_tokens", "completion_tokens", "cost")]
    tokens = F("prompt_tokens") + F("completion_tokens")
    rows = asked.usage().annotate(unit=asked.unit_of("ended_at")).values_list("unit", *groups)
    summed = rows.annotate(Count("pk"), *sums, unpriced=Sum(tokens, filter=Q(cost=None)))
    return [Ended(*row) for row in summed.order_by()]


def models(asked: Asked) -> list[str]:
    """The models of this time, the most frequent first."""
    everything = Asked(asked.slug, "", "", asked.now).usage()
    found = everything.values_list("model").annotate(count=Count("pk")).order_by("-count", "model")
    return [model for model, _ in found]


def verdicts(asked: Asked) -> Iterator[tuple[int, str, int]]:
    """Step, state and number of the verdicts that were decided in it."""
    steps = asked.steps
    rows = Verdict.objects.filter(decided_at__gte=asked.starts[0])
    grouped = rows.annotate(unit=asked.unit_of("decided_at")).values_list("unit", "state")
    for unit, state, count in grouped.annotate(count=Count("*")).order_by():
        if unit in steps:
            yield steps[unit], state, count


@dataclass(frozen=True, slots=True)
class Backlog:
    """By step: what came to the reviewers, what they decided, what was left at its end."""

    opened: list[int]
    closed: list[int]
    left: list[int]


def backlog(asked: Asked) -> Backlog:
    opened, closed = _by_step("opened_at", asked), _by_step("closed_at", asked)
    left = [sum(waiting.count for waiting in figures.review().values())]
    for step in reversed(range(1, asked.period.count)):
        left.append(max(0, left[-1] - opened[step] + closed[step]))
    count = range(asked.period.count)
    return Backlog([opened[n] for n in count], [closed[n] for n in count], left[::-1])


def _by_step(name: str, asked: Asked) -> Counter[int]:
    steps = asked.steps
    rows = ReviewItem.objects.filter(**{f"{name}__gte": asked.starts[0]})
    counted: Counter[int] = Counter()
    for unit, count in rows.values_list(asked.unit_of(name)).annotate(count=Count("*")).order_by():
        counted[steps.get(unit, -1)] += count
    return counted
