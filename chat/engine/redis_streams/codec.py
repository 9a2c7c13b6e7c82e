"""Events as bytes: a JSON list of ``[tag, field, …]``, and the names of the keys."""

import json
from collections.abc import Iterable
from dataclasses import astuple
from typing import Any

from chat.engine.events import (
    CallDelta,
    CallStep,
    Ended,
    Event,
    Outcome,
    ReasoningDelta,
    RefusalDelta,
    Requested,
    Retrying,
    Step,
    TextDelta,
    Thought,
)

FIELD = b"e"
TAGS: dict[str, type[Any]] = {
    "t": TextDelta,
    "r": ReasoningDelta,
    "n": RefusalDelta,
    "c": CallDelta,
    "s": CallStep,
    "q": Requested,
    "w": Retrying,
    "h": Thought,
    "e": Ended,
}
_TAG_OF = {kind: tag for tag, kind in TAGS.items()}


def stream_key(generation_id: int) -> bytes:
    return b"parley:log:%d" % generation_id


def watched_key(generation_id: int) -> bytes:
    """Which processes have viewers that follow it."""
    return b"parley:watched:%d" % generation_id


def encode(events: Iterable[Event]) -> bytes:
    rows = [[_TAG_OF[type(event)], *astuple(event)] for event in events]
    # ASCII: half a surrogate pair, which a provider may send, survives the way.
    return json.dumps(rows, separators=(",", ":")).encode()


def decode(entry: bytes) -> list[Event]:
    return [_event(tag, fields) for tag, *fields in json.loads(entry)]


def _event(tag: str, fields: list[Any]) -> Event:
    if tag == "e":
        return Ended(Outcome(fields[0]))
    if tag == "s":
        number, step, *rest = fields
        return CallStep(number, Step(step), *rest)
    event: Event = TAGS[tag](*fields)
    return event
