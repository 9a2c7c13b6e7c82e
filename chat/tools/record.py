"""Tool calls as rows. Synchronous: see chat.database."""

from collections.abc import Sequence

from chat.engine.tool_calls import Call
from chat.engine.wellformed import well_formed
from chat.models import ToolCall

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


def keep(message_id: int, calls: Sequence[Call]) -> None:
    """Write these calls of a message as they are now."""
    rows = [
        ToolCall(
            message_id=message_id,
            number=call.number,
            round=call.round,
            offset=call.offset,
            call_id=call.id[:200],
            name=call.name,
            arguments=well_formed(call.arguments),
            parsed=_clean(call.parsed),
            state=str(call.step),
            result=well_formed(call.result),
            duration_ms=call.duration_ms,
        )
        for call in calls
    ]
    ToolCall.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["message", "number"],
        update_fields=WRITTEN,
    )


def decision(message_id: int, number: int) -> str:
    """What the user decided on a call; empty as long as he has not."""
    rows = ToolCall.objects.filter(message=message_id, number=number)
    return rows.values_list("decision", flat=True).first() or ""


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
