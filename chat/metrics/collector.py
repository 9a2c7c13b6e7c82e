"""The figures in Prometheus' terms. One registry, whose collector asks at each scrape."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from chat import services
from chat.metrics import names, state
from chat.metrics.totals import LEDGER, MEASURES, NONE, Histogram, Totals
from chat.models import PaidFor, Purpose
from chat.models.generation import ACTIVE
from chat.operate import figures, process

logger = structlog.get_logger()


class Parley(Collector):
    """This process first: it can be told when the database cannot be reached."""

    def collect(self) -> Iterator[Metric]:
        yield from _process()
        found: list[Metric] = []
        try:
            found += _ended(LEDGER.totals(timezone.now()))
            found += _waiting()
        except DatabaseError as error:
            logger.warning("metrics_failed", error=type(error).__name__)
            yield _gauge(names.DATABASE, {(): 0.0})
            return
        yield _gauge(names.DATABASE, {(): 1.0})
        yield from found


def _process() -> Iterator[Metric]:
    current = services.current()
    worker = current.worker if current is not None else None
    log_up = current is None or current.log.available
    yield InfoMetricFamily(*names.INFO[:2], value={"version": process.version()})
    yield _gauge(names.PAGES, {(): process.pages()})
    yield _gauge(names.WORKING, {(): worker.running if worker is not None else 0})
    yield _gauge(names.LOG, {(): float(log_up)})


def _ended(totals: Totals) -> Iterator[Metric]:
    sums: dict[names.Metric, defaultdict[tuple[str, ...], float]] = {
        metric: defaultdict(float)
        for metric in (
            *(names.REPLIES, names.TITLES, names.MODERATIONS, names.ENDED_EARLY, names.ERRORS),
            *(names.CALLS, names.TOKENS_IN, names.TOKENS_OUT, names.COST),
        )
    }
    for group, (count, calls, tokens_in, tokens_out, cost) in totals.counted.items():
        purpose, name, transport, ended, reason, error = group
        model = totals.label(name)
        if purpose == PaidFor.REPLY:
            sums[names.REPLIES][model, transport or NONE, ended] += count
            if reason:
                sums[names.ENDED_EARLY][model, reason] += count
            if error:
                sums[names.ERRORS][model, error] += count
        else:
            of = names.TITLES if purpose == PaidFor.TITLE else names.MODERATIONS
            sums[of][model, ended] += count
        sums[names.CALLS][model, purpose] += calls
        sums[names.TOKENS_IN][model, purpose] += tokens_in
        sums[names.TOKENS_OUT][model, purpose] += tokens_out
        if cost is not None:
            sums[names.COST][model, purpose, settings.PRICE_CURRENCY] += float(cost)
    for metric, values in sums.items():
        yield _family(CounterMetricFamily, metric, values)
    for field_name, (metric, _unit) in MEASURES.items():
        yield _histogram(metric, totals, totals.measured[field_name])


def _histogram(
    metric: names.Metric, totals: Totals, found: dict[tuple[str, ...], Histogram]
) -> Metric:
    merged: dict[tuple[str, str], Histogram] = {}
    for (name, transport), one in found.items():
        into = merged.setdefault((totals.label(name), transport or NONE), Histogram())
        into.bins.update(one.bins)
        into.sum += one.sum
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    bounds = [*map(str, map(float, metric.bounds)), "+Inf"]
    for key, one in merged.items():
        upto = accumulate(one.bins[number] for number in range(len(bounds)))
        family.add_metric(key, buckets=list(zip(bounds, upto, strict=True)), sum_value=one.sum)
    return family


def _waiting() -> Iterator[Metric]:
    now = timezone.now()
    active = figures.active()
    keys = [(purpose.value, one.value) for purpose in Purpose for one in ACTIVE]
    found = {key: active.get(key, figures.Waiting()) for key in keys}
    yield _gauge(names.GENERATIONS, {key: one.count for key, one in found.items()})
    ages = {key: state.age_s(one, now) for key, one in found.items()}
    yield _gauge(names.GENERATIONS_OLDEST, ages)
    for count, oldest, one in (
        (names.UNRECONCILED, names.UNRECONCILED_OLDEST, figures.unreconciled()),
        (names.PENDING, names.PENDING_OLDEST, figures.pending_verdicts()),
    ):
        yield _gauge(count, {(): one.count})
        yield _gauge(oldest, {(): state.age_s(one, now)})
    backlog = figures.review()
    yield _gauge(names.REVIEW, {(name,): one.count for name, one in backlog.items()})
    review_ages = {(name,): state.age_s(one, now) for name, one in backlog.items()}
    yield _gauge(names.REVIEW_OLDEST, review_ages)
    verdicts = {(one, backend): count for one, backend, count in state.VERDICTS.counts()}
    yield _gauge(names.VERDICTS, verdicts)


def _gauge(metric: names.Metric, values: Mapping[Any, float]) -> Metric:
    return _family(GaugeMetricFamily, metric, values)


def _family(kind: Any, metric: names.Metric, values: Mapping[Any, float]) -> Metric:
    family: Metric = kind(metric.name, metric.help, labels=metric.labels)
    for key, value in values.items():
        family.add_metric(key, value)  # type: ignore[attr-defined]
    return family


def registry(collectors: Iterable[Collector] = ()) -> CollectorRegistry:
    """What is told of a process, and of the installation that it belongs to."""
    made = CollectorRegistry(auto_describe=False)
    for collector in collectors or (Parley(),):
        made.register(collector)
    ProcessCollector(registry=made)
    PlatformCollector(registry=made)
    GCCollector(registry=made)
    return made


REGISTRY = registry()
