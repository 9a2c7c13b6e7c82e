"""Events → chunks and completions as OpenAI writes them. Pure.

https://platform.openai.com/docs/api-reference/chat-streaming, and for ``reasoning_content``
DeepSeek's and vLLM's name for it, which clients know.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from chat.engine.events import CallDelta, Event, ReasoningDelta, RefusalDelta, TextDelta

DONE = "data: [DONE]\n\n"
ALIVE = ": waiting\n\n"
FIELDS: dict[type[Any], str] = {
    TextDelta: "content",
    ReasoningDelta: "reasoning_content",
    RefusalDelta: "refusal",
}
VISIBLE = (*FIELDS, CallDelta)
FILTERED = "content_filter"
CHARACTERS_PER_TOKEN = 4  # roughly, of English


@dataclass(frozen=True, slots=True)
class Head:
    """What every chunk of a completion begins with. ``created`` is in seconds."""

    id: str
    model: str
    created: int

    def of(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


@dataclass(slots=True)
class Completion:
    """A reply so far: turns events into deltas and keeps the whole of them."""

    head: Head
    include_usage: bool = False
    called: bool = False
    _begun: bool = False
    _parts: dict[str, list[str]] = field(default_factory=dict)
    _calls: dict[int, dict[str, Any]] = field(default_factory=dict)

    def feed(self, events: Iterable[Event]) -> list[dict[str, Any]]:
        """The chunks for these events; what is of one kind in a row goes into one."""
        deltas: list[dict[str, Any]] = []
        for event in events:
            if type(event) in FIELDS:
                self._write(FIELDS[type(event)], event.text, deltas)  # type: ignore[union-attr]
            elif isinstance(event, CallDelta):
                deltas.append({"tool_calls": [self._call(event)]})
        if deltas:
            deltas[:0] = self._beginning()
        return [self._chunk(delta) for delta in deltas]

    def finish(self, reason: str, usage: dict[str, Any]) -> list[dict[str, Any]]:
        """The last chunks: why it ended, then what it took if that was asked for."""
        chunks = [self._chunk(delta) for delta in self._beginning()]
        chunks.append(self._chunk({}, reason))
        if self.include_usage:
            chunk = self.head.of("chat.completion.chunk")
            chunks.append({**chunk, "choices": [], "usage": usage})
        return chunks

    def whole(self, reason: str, usage: dict[str, Any]) -> dict[str, Any]:
        """The completion in one piece; nothing of the reply when it was filtered."""
        message: dict[str, Any] = {"role": "assistant"}
        if reason == FILTERED:
            message |= {"content": "", "refusal": None}
        else:
            parts = {name: "".join(pieces) for name, pieces in self._parts.items()}
            message |= {"content": None, "refusal": None, **parts}
            if self._calls:
                message["tool_calls"] = [call for _, call in sorted(self._calls.items())]
            elif message["content"] is None and not message["refusal"]:
                message["content"] = ""
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
        return {**self.head.of("chat.completion"), "choices": [choice], "usage": usage}

    def text(self) -> str:
        """What is kept as the message's text, as far as it has come."""
        return "".join([*self._parts.get("content", ()), *self._parts.get("refusal", ())])

    def _beginning(self) -> list[dict[str, Any]]:
        begun, self._begun = self._begun, True
        return [] if begun else [{"role": "assistant", "content": ""}]

    def _write(self, name: str, text: str, deltas: list[dict[str, Any]]) -> None:
        self._parts.setdefault(name, []).append(text)
        if deltas and name in deltas[-1]:
            deltas[-1][name] += text
        else:
            deltas.append({name: text})

    def _call(self, event: CallDelta) -> dict[str, Any]:
        self.called = True
        call = self._calls.get(event.number)
        if call is None:
            # The id that the engine gives a call whose provider gave it none.
            identity = getattr(event, "id", "") or f"call_1_{event.number}"
            call = {
                "id": identity,
                "type": "function",
                "function": {"name": event.name, "arguments": event.arguments},
            }
            self._calls[event.number] = call
            return {"index": event.number, **call, "function": dict(call["function"])}
        function = {"name": event.name} if event.name else {}
        call["function"]["name"] = call["function"]["name"] or event.name
        call["function"]["arguments"] += event.arguments
        return {"index": event.number, "function": {**function, "arguments": event.arguments}}

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        chunk = {**self.head.of("chat.completion.chunk"), "choices": [choice]}
        return chunk | {"usage": None} if self.include_usage else chunk


def finish_reason(reason: str, *, called: bool, withheld: bool) -> str:
    """OpenAI's word for how a whole reply ended, whatever the provider's was."""
    if withheld:
        return FILTERED
    if reason in ("length", FILTERED):
        return reason
    return "tool_calls" if called else "stop"


def usage(
    prompt: int | None, completion: int | None, reasoning: int | None, *, asked_chars: int
) -> dict[str, Any]:
    """The tokens; estimated where the provider has not told, because clients add them up."""
    if prompt is None:
        prompt = -(-asked_chars // CHARACTERS_PER_TOKEN)
    completion = completion or 0
    counted: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    if reasoning is not None:
        counted["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    return counted


def data(value: dict[str, Any]) -> str:
    """One event of the stream."""
    return f"data: {dumps(value)}\n\n"


def dumps(value: dict[str, Any]) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair can only travel as an escape
        return json.dumps(value, separators=(",", ":"))
    return text
