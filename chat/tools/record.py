"""Tool calls as rows. Synchronous: see chat.database."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from chat.engine.events import Step
from chat.engine.tool_calls import Call
from chat.engine.turn import UNFINISHED
from chat.engine.wellformed import well_formed
from chat.models import CallState, Generation, State, ToolCall

# All but what the user decided, which is written by somebody else.
WRITTEN = (
    "round",
    "offset",
    "call_id",
    "name",
    "arguments",
    "parsed",
    "state",
    "result",
    "duration_ms",
)

OPEN = [str(step) for step in Step if not step.last]


@dataclass(frozen=True, slots=True)
class Claim:
    """Who writes: only as long as the generation streams in this attempt (I3)."""

    message_id: int
    generation_id: int
    attempt: int


def keep(message_id: int, calls: Sequence[Call]) -> None:
    """Write these calls as they are now, in the transaction of one who has won the generation."""
    _write(rows_of(message_id, calls))


def keep_claimed(claim: Claim, calls: Sequence[Call]) -> bool:
    """Write these calls as they are now; False, and nothing is written, if the claim is lost."""
    with transaction.atomic():
        if not _holds(claim):
            return False
        _write(rows_of(claim.message_id, calls))
    return True


def keep_growing(claim: Claim, rows: Sequence[ToolCall]) -> None:
    """Write calls that are still being written, in the caller's transaction.

    These ``rows`` are older than what their runner may have written meanwhile: a call that it has
    taken over is left as it is. With the claim lost nothing is written.
    """
    if not _holds(claim):
        return
    numbers = [row.number for row in rows]
    found = ToolCall.objects.filter(message=claim.message_id, number__in=numbers)
    growing = found.filter(state=CallState.WRITTEN, parsed__isnull=True).values("pk")
    taken = set(found.exclude(pk__in=growing).values_list("number", flat=True))
    _write([row for row in rows if row.number not in taken])


def rows_of(message_id: int, calls: Sequence[Call]) -> list[ToolCall]:
    """These calls as they are now. Asks no database."""
    return [
        ToolCall(
            message_id=message_id,
            number=call.number,
            round=call.round,
            offset=call.offset,
            # A half-written one may still lack it, and is sent to the provider all the same.
            call_id=call.id[:200] or f"call_{call.round}_{call.number}",
            name=call.name,
            arguments=well_formed(call.arguments),
            parsed=_clean(call.parsed),
            state=str(call.step),
            result=well_formed(call.result),
            duration_ms=call.duration_ms,
        )
        for call in calls
    ]


def stop_open(message_id: int) -> None:
    """The reply has ended without whoever ran its calls: what had not ended has been stopped."""
    left = ToolCall.objects.filter(message=message_id, state__in=OPEN)
    left.filter(state=CallState.RUNNING).update(state=CallState.STOPPED, result=UNFINISHED)
    left.update(state=CallState.STOPPED)


def decision(message_id: int, number: int) -> str:
    """What the user decided on a call; empty as long as he has not."""
    rows = ToolCall.objects.filter(message=message_id, number=number)
    return rows.values_list("decision", flat=True).first() or ""


def _holds(claim: Claim) -> bool:
    """Is it still theirs? Until the transaction's end nobody takes it from them then."""
    rows = Generation.objects.select_for_update(no_key=True).filter(
        pk=claim.generation_id, attempt=claim.attempt, state=State.STREAMING
    )
    return rows.values_list("pk", flat=True).first() is not None


def _write(rows: Sequence[ToolCall]) -> None:
    ToolCall.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["message", "number"],
        update_fields=WRITTEN,
    )


def _clean(value: object) -> object:
    """The value as every database takes it as JSON."""
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, list):
        return [_clean(one) for one in value]
    if isinstance(value, dict):
        return {well_formed(str(key)): _clean(one) for key, one in value.items()}
    if isinstance(value, float) and value - value != 0:
        return None  # no JSON, though jiter reads it
    return value
