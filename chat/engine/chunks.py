"""The decoded chunks of one chat completion stream → typed deltas. Pure.

Everything in a chunk is what a stranger sent: a field may be missing, null, of another type, or
out of place. What can be understood is taken, the rest is passed over; an error that the provider
reports in any form is kept in ``error``, behind the deltas that came with it. Quirks met in the
wild are recorded in ``tests/streams`` and listed in ``docs/providers.md``.
"""

import json
from typing import Any

from chat.engine.content import parts, thought
from chat.engine.ending import ending, is_failure
from chat.engine.errors import Garbled, ProviderError, Unavailable
from chat.engine.events import (
    Delta,
    FinishDelta,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    UsageDelta,
)
from chat.engine.faults import reported_error
from chat.engine.speech import Speech
from chat.engine.wellformed import well_formed


class Chunks:
    """Turns the chunks of one answer into deltas, one chunk at a time.

    A finish reason holds only until more is said, because some gateways put one on every chunk. If
    it was the end after all, ``finish`` repeats it.
    """

    def __init__(self) -> None:
        self.error: ProviderError | None = None
        self._reason = ""  # with which the model has ended
        self._more = False  # something was said after that
        self._choice: int | None = None
        self._speech = Speech()
        self._by_delta = False  # so a message that comes later repeats what has been said
        self._by_field = False  # so the details of the reasoning repeat it

    def feed(self, chunk: Any) -> list[Delta]:
        """The deltas of a chunk, in order; ``error`` is set if it reports one."""
        deltas: list[Delta] = []
        if not isinstance(chunk, dict):
            self.error = reported_error(chunk) or Garbled(f"a chunk that is {json_type(chunk)}")
            return deltas
        choice = self._only_choice(chunk.get("choices"))
        if choice is not None:
            self._take_choice(choice, deltas)
        if usage := chunk.get("usage"):
            _take_usage(usage, deltas)
        if choice is None or "error" in chunk or "base_resp" in chunk or "x_groq" in chunk:
            self.error = reported_error(chunk) or self.error
        return deltas

    def finish(self, *, in_order: bool = False) -> list[Delta]:
        """What was held back; ``in_order`` when the stream announced its end."""
        deltas: list[Delta] = []
        self._speech.flush(deltas)
        if in_order and self._more:
            deltas.append(FinishDelta(self._reason))
        return deltas

    @property
    def ended(self) -> bool:
        """Whether the model has ended, as far as one can know."""
        return bool(self._reason) and not self._more

    def _only_choice(self, choices: Any) -> dict[str, Any] | None:
        """Parley asks for one choice; of a provider that sends more, the first is followed."""
        if not isinstance(choices, list):
            return None
        if self._choice is None:
            numbers = [_number(choice) for choice in choices]
            self._choice = min((number for number in numbers if number is not None), default=None)
        for choice in choices:
            if isinstance(choice, dict) and _number(choice) in (self._choice, None):
                return choice
        return None

    def _take_choice(self, choice: dict[str, Any], deltas: list[Delta]) -> None:
        said = choice.get("delta")
        if said and isinstance(said, dict):
            self._take_message(said, deltas)
            self._by_delta = self._by_delta or bool(deltas)
        elif not self._by_delta:
            # A whole completion, a stream that looks like one, or one of the older endpoint.
            if isinstance(message := choice.get("message"), dict):
                self._take_message(message, deltas)
            elif isinstance(text := choice.get("text"), str):
                self._speech.say(TextDelta, text, deltas)
        if self._reason and deltas:
            self._more = True
        if reason := choice.get("finish_reason"):
            self._end(reason, deltas)
            if usage := choice.get("usage"):
                _take_usage(usage, deltas)
        if "error" in choice:
            self.error = reported_error({"error": choice["error"]}) or self.error

    def _take_message(self, said: dict[str, Any], deltas: list[Delta]) -> None:
        reasoning = said.get("reasoning_content") or said.get("reasoning")
        if reasoning:
            if isinstance(reasoning, str):
                self._by_field = True
                self._speech.say(ReasoningDelta, reasoning, deltas)
        elif "reasoning_details" in said and not self._by_field:
            self._speech.say(ReasoningDelta, thought(said["reasoning_details"]), deltas)
        content = said.get("content")
        if isinstance(content, str):
            self._speech.say(TextDelta, content, deltas)
        elif content is not None:
            for kind, text in parts(content):
                self._speech.say(kind, text, deltas)
        if isinstance(refusal := said.get("refusal"), str):
            self._speech.say(RefusalDelta, refusal, deltas)
        if isinstance(calls := said.get("tool_calls"), list):
            deltas.extend(_tool_call(call) for call in calls if isinstance(call, dict))
        if isinstance(call := said.get("function_call"), dict):
            deltas.append(_tool_call({"function": call}))

    def _end(self, reason: Any, deltas: list[Delta]) -> None:
        if not isinstance(reason, str):
            return
        self._speech.flush(deltas)
        reason = well_formed(ending(reason))
        if not self.ended:
            if is_failure(reason):
                self.error = Unavailable(f"the provider ended the stream with {reason!r}")
            self._reason, self._more = reason, False
        deltas.append(FinishDelta(reason))


def json_type(value: Any) -> str:
    """What JSON calls a value's type, for messages that must not hold the value."""
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list"}
    return names.get(type(value), "null")


def _number(choice: Any) -> int | None:
    index = choice.get("index") if isinstance(choice, dict) else None
    return index if isinstance(index, int) else None


def _tool_call(call: dict[str, Any]) -> ToolCallDelta:
    function = call.get("function")
    function = function if isinstance(function, dict) else {}
    index, identity, name = call.get("index"), call.get("id"), function.get("name")
    arguments = function.get("arguments")
    if isinstance(arguments, dict):
        arguments = json.dumps(arguments)
    return ToolCallDelta(
        index=index if isinstance(index, int) else None,
        id=well_formed(identity) if isinstance(identity, str) and identity else None,
        name=well_formed(name) if isinstance(name, str) and name else None,
        arguments=well_formed(arguments) if isinstance(arguments, str) else "",
    )


def _take_usage(usage: Any, deltas: list[Delta]) -> None:
    if not isinstance(usage, dict):
        return
    details = usage.get("completion_tokens_details")
    counts = (
        _count(usage.get("prompt_tokens")),
        _count(usage.get("completion_tokens")),
        _count(details.get("reasoning_tokens")) if isinstance(details, dict) else None,
    )
    if any(count is not None for count in counts):
        deltas.append(UsageDelta(*counts))


def _count(value: Any) -> int | None:
    usable = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31
    return value if usable else None
