"""What a worker looks after while it writes: stop requests, lost claims, pages that have gone.

A stop request travels as a ring, which may be lost, and stands in the row, which may not. A reply
that nobody watches any more is not paid for (``STREAM_ABANDON_GRACE``), unless its owner wants
replies finished when away and the operator lets him (``STREAM_FINISH_WHEN_AWAY``).
"""

from collections.abc import Iterable

from django.conf import settings

from chat.engine.log import Audience
from chat.models import Generation, State
from chat.worker.claim import Job

# Between the send and the first sight of its page lie a redirect, a page and a handshake.
ARRIVAL_S = 10.0
NO_VIEWER, CLAIM_LOST = "no_viewer", "claim_lost"


def to_stop(jobs: Iterable[Job]) -> dict[int, str]:
    """Which of these must end, and why, by their rows. Synchronous: see chat.database."""
    attempts = {job.generation_id: job.attempt for job in jobs}
    rows = Generation.objects.filter(pk__in=attempts, state=State.STREAMING)
    held = {pk: (attempt, asked) for pk, attempt, asked in rows.values_list(*_COLUMNS)}
    reasons = {}
    for pk, attempt in attempts.items():
        if pk not in held or held[pk][0] != attempt:
            reasons[pk] = CLAIM_LOST  # ended, or taken over, by somebody else
        elif held[pk][1]:
            reasons[pk] = held[pk][1]
    return reasons


_COLUMNS = ("pk", "attempt", "stop_requested")


def has_left(audience: Audience) -> bool:
    """Have those who watched this reply been gone for the grace, or did nobody ever come?"""
    grace_s = settings.STREAM_ABANDON_GRACE
    if grace_s is None or audience.alone_s == 0:
        return False
    patience_s: float = grace_s if audience.seen else max(grace_s, ARRIVAL_S)
    return audience.alone_s >= patience_s


def may_be_abandoned(job: Job) -> bool:
    """May the reply be given up when its last viewer has left?"""
    if settings.STREAM_ABANDON_GRACE is None:
        return False
    return not (job.finish_when_away and settings.STREAM_FINISH_WHEN_AWAY)
