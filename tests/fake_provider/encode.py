"""Steps → bytes of an event stream. Pure, and the same bytes every time, so that a test can cut
a stream at each of them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .script import Chunk, Comment, Done, Finish, Raw, Script, Step, Text, Usage

COMPLETION_ID = "chatcmpl-fake"
CREATED = 1_700_000_000  # a constant: the bytes of a script must not depend on the day

ENCODED = (Chunk, Text, Usage, Finish, Done, Comment, Raw)


@dataclass(frozen=True)
class Encoder:
    model: str = "fake"
    include_usage: bool = False

    def events(self, step: Step) -> Iterator[bytes]:
        """The events of one step, one token each; nothing for steps that are not output."""
        match step:
            case Text():
                for piece in step.pieces():
                    yield self._chunk({step.field: piece})
            case Chunk():
                yield self._given(step)
            case Finish():
                yield self._chunk({}, step.reason)
            case Usage() if step.always or self.include_usage:
                yield event(self._envelope([]) | {"usage": usage(step)})
            case Done():
                yield b"data: [DONE]\n\n"
            case Comment():
                yield f": {step.text}\n\n".encode()
            case Raw():
                yield step.data
            case _:
                pass

    def _given(self, step: Chunk) -> bytes:
        if step.raw is not None:
            return event(step.raw, step.event)
        return self._chunk(step.delta, step.finish_reason, step.event)

    def _chunk(self, delta: Any, finish: str | None = None, name: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        whole = self._envelope([choice])
        return event(whole | {"usage": None} if self.include_usage else whole, name)

    def _envelope(self, choices: list[Any]) -> dict[str, Any]:
        return {
            "id": COMPLETION_ID,
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": self.model,
            "choices": choices,
        }


def event(data: Any, name: str | None = None) -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {dumps(data)}\n\n".encode()


def dumps(data: Any) -> str:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair can only travel as a \\u escape
        return json.dumps(data, separators=(",", ":"))
    return text


def usage(step: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": step.prompt_tokens,
        "completion_tokens": step.completion_tokens,
        "total_tokens": step.prompt_tokens + step.completion_tokens,
        **step.extra,
    }


def body_of(script: Script, *, model: str = "fake", include_usage: bool = False) -> bytes:
    """The whole body that a script's steps make, as if nothing waited or cut."""
    encoder = Encoder(model, include_usage)
    return b"".join(part for step in script.steps for part in encoder.events(step))
