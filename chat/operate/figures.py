"""The figures of the whole installation, in plain SQL that SQLite and PostgreSQL share."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, F, Max, Min, Q, QuerySet, Window
from django.db.models.functions import CumeDist

from chat.models import (
    Generation,
    Purpose,
    ReviewItem,
    ReviewState,
    State,
    Transport,
    Verdict,
    VerdictState,
)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WORKERS_MAX = 10  # each restart makes a new name

Rows = QuerySet[Generation]


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many there are, and since when the oldest of them."""

    count: int = 0
    oldest: datetime | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """A worker, by the rows that it has claimed."""

    name: str
    heartbeat: datetime | None
    writing: int
    claimed: int


@dataclass(frozen=True, slots=True)
class Counted:
    """How often something came about in the last hour and in the last 24."""

    name: str
    hour: int = 0
    day: int = 0


@dataclass(frozen=True, slots=True)
class Spread:
    """A time's median and 95th percentile in milliseconds; None of nothing."""

    count: int
    p50: float | None
    p95: float | None


def since(span: timedelta, now: datetime) -> Rows:
    """What was asked for within this time.

    Ids grow with time, so the first row before it, looked for from the end, bounds the search:
    there is no index on ``created_at``, and an installation's rows are never deleted.
    """
    cutoff = now - span
    before = Generation.objects.filter(created_at__lt=cutoff).order_by("-pk")
    newest = before.values_list("pk", flat=True).first() or 0
    return Generation.objects.filter(pk__gt=newest, created_at__gte=cutoff)


def active() -> dict[tuple[str, str], Waiting]:
    """What is queued and what is being written, by purpose and state."""
    rows = Generation.objects.active().values_list("purpose", "state")
    counted = rows.annotate(Count("pk"), Min("created_at"))
    return {(purpose, state): Waiting(*found) for purpose, state, *found in counted}


def unreconciled() -> Waiting:
    rows = Generation.objects.unreconciled().filter(purpose=Purpose.REPLY)
    return Waiting(**rows.aggregate(count=Count("pk"), oldest=Min("finished_at")))


def pending_verdicts() -> Waiting:
    rows = Verdict.objects.filter(state=VerdictState.PENDING)
    return Waiting(**rows.aggregate(count=Count("pk"), oldest=Min("created_at")))


def review() -> dict[str, Waiting]:
    """What waits for a reviewer, by state."""
    waiting = [state.value for state in ReviewState if state is not ReviewState.CLOSED]
    rows = ReviewItem.objects.filter(state__in=waiting).values_list("state")
    found = {state: Waiting(*rest) for state, *rest in rows.annotate(Count("pk"), Min("opened_at"))}
    return {state: found.get(state, Waiting()) for state in waiting}


def workers(now: datetime) -> list[Seen]:
    """Those that have claimed something in the last 24 hours, the newest heartbeat first."""
    rows = since(DAY, now).exclude(claimed_by="").values_list("claimed_by")
    seen = rows.annotate(
        heartbeat=Max("heartbeat_at"),
        writing=Count("pk", filter=Q(state=State.STREAMING)),
        claimed=Count("pk"),
    ).order_by(F("heartbeat").desc(nulls_last=True))
    return [Seen(*row) for row in seen[:WORKERS_MAX]]


def counted(field: str, now: datetime) -> list[Counted]:
    """The replies of the last 24 hours by the values of a field, the most frequent first."""
    rows = since(DAY, now).filter(purpose=Purpose.REPLY).exclude(**{field: ""}).values_list(field)
    counts = rows.annotate(
        hour=Count("pk", filter=Q(created_at__gte=now - HOUR)), day=Count("pk")
    ).order_by("-day", field)
    return [Counted(*row) for row in counts]


def spread(field: str, span: timedelta, now: datetime) -> Spread:
    """The percentiles of a time: of each, the smallest value that so many are not above.

    PostgreSQL's ``percentile_disc``, spelled as SQLite has it too.
    """
    known = since(span, now).filter(**{"purpose": Purpose.REPLY, f"{field}__isnull": False})
    if field == "ttft_served_ms":  # of a whole reply it is the time of its last token
        known = known.exclude(transport=Transport.API_WHOLE)
    ranked = known.annotate(rank=Window(CumeDist(), order_by=F(field).asc()))
    return Spread(
        **ranked.aggregate(
            count=Count("pk"),
            p50=Min(field, filter=Q(rank__gte=0.5)),
            p95=Min(field, filter=Q(rank__gte=0.95)),
        )
    )
