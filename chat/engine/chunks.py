"""The decoded chunks of one chat completion stream → typed deltas. Pure.

Everything in a chunk is what a stranger sent: a field may be missing, null, of another type, or
out of place. What can be understood is taken, the rest is passed over; an error that the provider
reports in any form is kept in ``error``, behind the deltas that came with it. Quirks met in the
wild are recorded in ``tests/streams``.
"""

import json
from typing import Any

from chat.engine.errors import Garbled, ProviderError
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
from chat.engine.wellformed import REPLACEMENT, opens_pair, well_formed

Said = type[TextDelta] | type[ReasoningDelta] | type[RefusalDelta]


class Chunks:
    """Turns the chunks of one answer into deltas, one chunk at a time.

    A character outside the basic plane may be cut in two by providers that count in UTF-16: its
    first half is held back until the second comes.
    """

    def __init__(self) -> None:
        self.error: ProviderError | None = None
        self._choice: int | None = None
        self._half: tuple[Said, str] | None = None

    def feed(self, chunk: Any) -> list[Delta]:
        """The deltas of a chunk, in order; ``error`` is set if it reports one."""
        deltas: list[Delta] = []
        if not isinstance(chunk, dict):
            self.error = reported_error(chunk) or Garbled(f"a chunk that is {json_type(chunk)}")
            return deltas
        choice = self._only_choice(chunk.get("choices"))
        if choice is not None:
            self._take_choice(choice, deltas)
        usage = chunk.get("usage")
        if isinstance(usage, dict) and (counted := _usage(usage)) is not None:
            deltas.append(counted)
        if choice is None or "error" in chunk:
            self.error = self.error or reported_error(chunk)
        return deltas

    def finish(self) -> list[Delta]:
        """What was held back."""
        half, self._half = self._half, None
        return [half[0](REPLACEMENT)] if half else []

    def _only_choice(self, choices: Any) -> dict[str, Any] | None:
        """Parley asks for one choice; of a provider that sends more, the first is followed."""
        if not isinstance(choices, list):
            return None
        for choice in choices:
            if isinstance(choice, dict):
                index = choice.get("index")
                if self._choice is None and isinstance(index, int):
                    self._choice = index
                if index is None or index == self._choice:
                    return choice
        return None

    def _take_choice(self, choice: dict[str, Any], deltas: list[Delta]) -> None:
        said = choice.get("delta")
        if not isinstance(said, dict):
            said = choice.get("message")  # a whole completion, or a stream that looks like one
        if isinstance(said, dict):
            self._take_message(said, deltas)
        elif isinstance(text := choice.get("text"), str):
            self._say(TextDelta, text, deltas)
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason:
            deltas.append(FinishDelta(well_formed(reason)))
        if "error" in choice:
            self.error = reported_error({"error": choice["error"]})

    def _take_message(self, said: dict[str, Any], deltas: list[Delta]) -> None:
        thought = said.get("reasoning_content") or said.get("reasoning")
        if thought and isinstance(thought, str):
            self._say(ReasoningDelta, thought, deltas)
        content = said.get("content")
        if isinstance(content, str):
            self._say(TextDelta, content, deltas)
        elif content is not None:
            self._take_content(content, deltas)
        if isinstance(refusal := said.get("refusal"), str):
            self._say(RefusalDelta, refusal, deltas)
        if isinstance(calls := said.get("tool_calls"), list):
            deltas.extend(_tool_call(call) for call in calls if isinstance(call, dict))

    def _take_content(self, content: Any, deltas: list[Delta]) -> None:
        """Content that is no string: a number, a part, a list of parts."""
        if isinstance(content, list):
            for part in content:
                self._take_content(part, deltas)
        elif isinstance(content, dict):
            text = content.get("text")
            if content.get("type") in ("thinking", "reasoning"):
                self._say(ReasoningDelta, _joined(content.get("thinking", text)), deltas)
            else:
                self._say(TextDelta, _joined(text), deltas)
        elif isinstance(content, str):
            self._say(TextDelta, content, deltas)
        elif isinstance(content, int | float) and not isinstance(content, bool):
            self._say(TextDelta, str(content), deltas)

    def _say(self, kind: Said, text: str, deltas: list[Delta]) -> None:
        # Nearly all text is ASCII without NUL and has nothing held back before it.
        if self._half is not None or not text.isascii() or "\0" in text:
            text = self._mended(kind, text, deltas)
        if text:
            deltas.append(kind(text))

    def _mended(self, kind: Said, text: str, deltas: list[Delta]) -> str:
        """The text, well formed, after the half that was held back; its own last half is held."""
        if self._half is not None and text:
            if self._half[0] is kind:
                text, self._half = self._half[1] + text, None
            else:
                deltas.extend(self.finish())
        if text and opens_pair(text[-1]):
            text, self._half = text[:-1], (kind, text[-1])
        return well_formed(text)


def json_type(value: Any) -> str:
    """What JSON calls a value's type, for messages that must not hold the value."""
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list"}
    return names.get(type(value), "null")


def _joined(text: Any) -> str:
    """Text that may be cut into a list of parts, as Mistral's thinking is."""
    if isinstance(text, list):
        return "".join(_joined(part.get("text")) for part in text if isinstance(part, dict))
    return text if isinstance(text, str) else ""


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


def _usage(usage: dict[str, Any]) -> UsageDelta | None:
    details = usage.get("completion_tokens_details")
    counts = (
        _count(usage.get("prompt_tokens")),
        _count(usage.get("completion_tokens")),
        _count(details.get("reasoning_tokens")) if isinstance(details, dict) else None,
    )
    return UsageDelta(*counts) if any(count is not None for count in counts) else None


def _count(value: Any) -> int | None:
    usable = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31
    return value if usable else None
