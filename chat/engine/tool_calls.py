"""Fragments of tool calls → calls. Pure, and the same however the fragments are cut or interleaved.

Providers number fragments by ``index``, and name them by ``id``; either may be missing, late,
repeated or shared. What decides, in this order: an index that is there; an id that is known; a new
id or a name, which begins a call unless the last one still lacks it; else the last call goes on.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import jiter

from chat.engine.events import CallDelta, Step, ToolCallDelta

ARGUMENTS_CHARS = 100_000  # a model that repeats itself without end is cut here
CALLS = 32  # in one round
NAME_CHARS = 200


@dataclass(slots=True)
class Call:
    """One call as far as it is known. ``problem`` says, for the model, why it cannot be run.

    ``number`` counts from 0 within the reply; ``offset`` is how much of its text stands before.

    ``arguments`` are as they were received; ``parsed`` is the object that they are, once ``close``
    has been called and they are one.
    """

    number: int
    round: int = 1
    offset: int = 0
    id: str = ""
    name: str = ""
    step: Step = Step.WRITTEN
    parsed: dict[str, Any] | None = None
    problem: str = ""
    result: str = ""
    duration_ms: float | None = None
    too_long: bool = False
    ids: set[str] = field(default_factory=set)
    _arguments: list[str] = field(default_factory=list)
    _chars: int = 0

    @property
    def arguments(self) -> str:
        if len(self._arguments) > 1:
            self._arguments = ["".join(self._arguments)]
        return self._arguments[0] if self._arguments else ""

    def write(self, piece: str) -> str:
        """Add a piece; returns what is new of it, and keeps no more than ``ARGUMENTS_CHARS``."""
        if not piece or self.too_long:
            return ""
        if self._chars and piece.startswith("{") and piece.startswith(before := self.arguments):
            piece = piece[len(before) :]  # some send, again and again, all that they have so far
        elif self._chars and piece.strip() and self.is_whole():
            return ""  # or all of it once more, at the end
        if self._chars + len(piece) > ARGUMENTS_CHARS:
            piece = piece[: ARGUMENTS_CHARS - self._chars]
            self.too_long = True
        self._chars += len(piece)
        self._arguments.append(piece)
        return piece

    def is_whole(self) -> bool:
        """Are the arguments an object that has been closed?"""
        text = self.arguments.strip()
        return text.endswith("}") and isinstance(_json(text), dict)

    def close(self) -> None:
        """Nothing more comes: find out what the arguments are."""
        if self.too_long:
            self.problem = f"The arguments are longer than {ARGUMENTS_CHARS:,} characters."
            return
        value = _json(self.arguments.strip() or "{}")
        if isinstance(value, str):
            value = _json(value.strip() or "{}")  # an object in a string: encoded twice
        if value is None and self.arguments.strip() == "null":
            value = {}
        if isinstance(value, dict):
            self.parsed = value
        else:
            self.problem = "The arguments are not a JSON object."

    def as_sent(self) -> dict[str, Any]:
        """The call as the provider wants to read it again. What was no JSON is left out: some
        endpoints parse it, and refuse the whole request."""
        arguments = "{}" if self.parsed is None else json.dumps(self.parsed, ensure_ascii=False)
        return {
            "id": self.id,
            "type": "function",
            "function": {"name": self.name or "unknown", "arguments": arguments},
        }


def _json(text: str) -> Any:
    try:
        return jiter.from_json(text.encode("utf-8", "surrogatepass"), partial_mode=False)
    except (ValueError, RecursionError):
        return None


class ToolCalls:
    """The calls of one round. ``first`` is the number of its first one within the reply."""

    def __init__(self, first: int = 0, *, round: int = 1) -> None:
        self.calls: list[Call] = []
        self.runaway = False  # nothing that still comes is wanted
        self.offset = 0  # of the calls that begin from here on
        self._first, self._round = first, round
        self._by_index: dict[int, Call] = {}
        self._told: set[int] = set()  # the numbers that somebody who follows knows of

    def feed(self, delta: ToolCallDelta) -> CallDelta | None:
        """Take a fragment; returns what is new for who follows, if anything is."""
        call = self._find(delta)
        if call is None:
            return None
        if delta.id:
            call.ids.add(delta.id)
            call.id = call.id or delta.id
        name = ""
        if delta.name and not call.name:
            name = call.name = delta.name[:NAME_CHARS]
        new = call.write(delta.arguments)
        self.runaway = self.runaway or call.too_long
        if not name and not new and call.number in self._told:
            return None
        identity = "" if call.number in self._told else call.id
        self._told.add(call.number)
        return CallDelta(call.number, name, new, identity)

    def close(self) -> list[Call]:
        """The calls of the round, each with an id of its own and its arguments judged."""
        taken: set[str] = set()
        for call in self.calls:
            if not call.id or call.id in taken:
                call.id = f"call_{call.round}_{call.number}"
            taken.add(call.id)
            call.close()
            if not call.problem and not call.name:
                call.problem = "The call names no tool."
        return self.calls

    def _find(self, delta: ToolCallDelta) -> Call | None:
        last = self.calls[-1] if self.calls else None
        if delta.index is not None:
            call = self._by_index.get(delta.index)
            if call is None or self._shares_the_index(call, delta):
                # An index that comes late, to a call that was begun without one.
                if last is not None and call is None and self._is_the_rest(last, delta):
                    self._by_index[delta.index] = last
                    return last
                call = self._begin()
                if call is not None:
                    self._by_index[delta.index] = call
            return call
        if delta.id is not None:
            for call in self.calls:
                if delta.id in call.ids:
                    return call
            if last is not None and not last.ids and self._goes_on(last, delta):
                return last
            return self._begin()
        if last is None:
            return self._begin() if delta.name or delta.arguments.strip() else None
        return last if self._goes_on(last, delta) else self._begin()

    def _is_the_rest(self, last: Call, delta: ToolCallDelta) -> bool:
        """Is it the first that tells the index of a call that had none?"""
        if last in self._by_index.values() or last.is_whole():
            return False
        return (not delta.id or delta.id in last.ids) and (
            not delta.name or delta.name == last.name
        )

    @staticmethod
    def _shares_the_index(call: Call, delta: ToolCallDelta) -> bool:
        """Some number all calls 0: a new id and a name after whole arguments begin another one."""
        new_id = delta.id is not None and bool(call.ids) and delta.id not in call.ids
        return new_id and delta.name is not None and (not call.arguments or call.is_whole())

    @staticmethod
    def _goes_on(last: Call, delta: ToolCallDelta) -> bool:
        """Is a fragment without an index, or without a known id, the rest of the last call?"""
        if delta.name is None or not last.name:
            return True  # its arguments, or a name that comes late
        return delta.name == last.name and not last.is_whole()

    def _begin(self) -> Call | None:
        if len(self.calls) >= CALLS:
            self.runaway = True
            return None
        call = Call(self._first + len(self.calls), self._round, self.offset)
        self.calls.append(call)
        return call
