"""Verdicts as rows: what a backend's result and the policy make of them, and what they come to."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from chat import policy
from chat.models import Action, Direction, Message, Verdict, VerdictState
from chat.moderation.base import Result, Span, Unclear
from chat.moderation.policy import gravest
from chat.policy import Current

# A worker that is about to ask a model looks at the question first. What it has not decided by
# then is the sweeper's.
WORKERS_S = 30.0
BATCH = 500
BLOCKING = (Action.WITHHOLD, Action.STOP)

Found = Mapping[str, Result | Unclear]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message's text stands in what was judged: so many characters in, so many long."""

    before: int
    length: int

    def spans(self, spans: Iterable[Span]) -> list[list[Any]]:
        """Passages of the text itself; what lies in other messages or in calls is left out."""
        moved = ((start - self.before, end - self.before, name) for start, end, name in spans)
        return [
            [max(0, start), min(end, self.length), name]
            for start, end, name in moved
            if start < self.length and end > 0
        ]


@dataclass(frozen=True, slots=True)
class Weighed:
    """What the verdicts of one message come to."""

    overall: VerdictState
    action: str
    withheld: bool
    flagged: bool
    unclear: bool
    pending: bool
    score: float

    @property
    def blocks(self) -> bool:
        """May nobody, and no model, read it? For now, where an open verdict closes the door."""
        closed = settings.MODERATION_FAIL == "closed" and (self.pending or self.unclear)
        return self.action in BLOCKING or closed


def direction_of(message: Message) -> Direction:
    """What a model wrote here goes out. All else, histories of the API too, goes to a model."""
    return Direction.OUTPUT if hasattr(message, "generation") else Direction.INPUT


def expect(messages: Sequence[Message], names: Iterable[str] | None = None) -> None:
    """Pending verdicts on what is said to a model, in the transaction that says it."""
    at = timezone.now() + timedelta(seconds=WORKERS_S)
    named = policy.backends() if names is None else names
    Verdict.objects.bulk_create(
        [
            Verdict(message=message, backend=name, next_try_at=at)
            for message in messages
            for name in named
        ],
        batch_size=BATCH,
    )


def made(
    message_id: int, direction: str, names: Iterable[str], found: Found, current: Current, at: Place
) -> list[Verdict]:
    """The verdicts of a message that has none yet, unsaved: decided as far as there are results."""
    now = timezone.now()
    verdicts = [Verdict(message_id=message_id, backend=n, next_try_at=now) for n in names]
    for verdict in verdicts:
        if (result := found.get(verdict.backend)) is not None:
            fill(verdict, opinion(result, direction, current, at))
            verdict.tries = 1
    return verdicts


def opinion(found: Result | Unclear, direction: str, current: Current, at: Place) -> dict[str, Any]:
    """The columns of a verdict that says this."""
    given: dict[str, Any] = {
        "version": found.version[:100],
        "policy": current.version,
        "decided_at": timezone.now(),
        "next_try_at": None,
    }
    if isinstance(found, Unclear):
        return {**given, "state": VerdictState.ERROR, "action": Action.ALLOW, "error": found.reason}
    return {
        **given,
        **acted(direction, found.categories, found.hits, current),
        "model": found.model,
        "categories": found.categories,
        "hits": list(found.hits),
        "spans": at.spans(found.spans),
        "error": "",
    }


def acted(
    direction: str, categories: Mapping[str, float], hits: Sequence[str], current: Current
) -> dict[str, Any]:
    """What the policy makes of scores and objections."""
    action = current.policy.action(direction, categories, hits)
    state = VerdictState.PASSED if action == Action.ALLOW else VerdictState.FLAGGED
    return {"state": state, "action": action}


def weigh(verdicts: Iterable[Verdict]) -> Weighed:
    rows = list(verdicts)
    flagged = [row for row in rows if row.state == VerdictState.FLAGGED]
    states = {row.state for row in rows}
    return Weighed(
        overall=_overall(states),
        action=gravest([row.action for row in flagged]),
        withheld=any(row.action == Action.WITHHOLD for row in flagged),
        flagged=bool(flagged),
        unclear=VerdictState.ERROR in states,
        pending=VerdictState.PENDING in states,
        score=max((_score(row) for row in flagged or rows), default=0.0),
    )


def fill(verdict: Verdict, values: Mapping[str, Any]) -> None:
    """Put the columns of an opinion into a verdict."""
    for name, value in values.items():
        setattr(verdict, name, value)


def _score(verdict: Verdict) -> float:
    scores = [verdict.categories.get(name, 0.0) for name in verdict.hits]
    return max(scores or verdict.categories.values(), default=0.0)


def _overall(states: Iterable[str]) -> VerdictState:
    """One word for the verdicts of a message: the gravest. No text, nothing to object to."""
    found = set(states)
    for state in (
        VerdictState.FLAGGED,
        VerdictState.ERROR,
        VerdictState.PENDING,
        VerdictState.OVERRIDDEN,
    ):
        if state in found:
            return state
    return VerdictState.PASSED
