"""What the fake provider answers: a Script is a sequence of frozen steps.

A script that runs out ends its body as HTTP wants it; what the stream says (finish reason,
`[DONE]`) is only what its steps say. `reply()` writes a well-behaved one.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self

Framing = Literal["chunked", "close"]


@dataclass(frozen=True)
class Chunk:
    """One `data:` event: ``delta`` goes into the usual envelope, ``raw`` replaces the object."""

    delta: Mapping[str, Any] = field(default_factory=dict)
    finish_reason: str | None = None
    raw: Any = None
    event: str | None = None


@dataclass(frozen=True)
class Text:
    """Text in tokens of ``size`` characters, ``rate`` of them a second (0: as fast as it goes)."""

    text: str
    size: int = 4
    rate: float = 0.0
    field: str = "content"

    def pieces(self) -> Iterator[str]:
        return (self.text[i : i + self.size] for i in range(0, len(self.text), self.size))


@dataclass(frozen=True)
class Reasoning(Text):
    """Reasoning as most endpoints send it; ``field="reasoning"`` is the other spelling in use."""

    field: str = "reasoning_content"


@dataclass(frozen=True)
class Refusal(Text):
    field: str = "refusal"


@dataclass(frozen=True)
class Usage:
    """The usage chunk. Sent only to who asked by `stream_options.include_usage`, or ``always``."""

    prompt_tokens: int = 10
    completion_tokens: int = 5
    always: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Finish:
    reason: str = "stop"


@dataclass(frozen=True)
class Done:
    """`data: [DONE]`."""


@dataclass(frozen=True)
class Comment:
    """An SSE comment line, as gateways send to keep a connection alive."""

    text: str = "keep-alive"


@dataclass(frozen=True)
class Wait:
    seconds: float


@dataclass(frozen=True)
class Gate:
    """Waits until the test calls `provider.open(name)`."""

    name: str


@dataclass(frozen=True)
class Raw:
    """Bytes of the body, as they are (framed as the script's HTTP body)."""

    data: bytes


@dataclass(frozen=True)
class Wire:
    """Bytes of the socket, as they are; as the first output they must hold the HTTP head too."""

    data: bytes


@dataclass(frozen=True)
class Headers:
    """Sends the head now. Without it the head leaves together with the first byte of the body."""

    content_type: str = "text/event-stream; charset=utf-8"
    status: int = 200
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Status:
    """A whole answer that does not stream; ``body`` None is an OpenAI-style error object."""

    code: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | str | bytes | None = None


@dataclass(frozen=True)
class Cut:
    """Closes the connection now (FIN): a broken body when chunked, a clean end when not."""


@dataclass(frozen=True)
class Reset:
    """Resets the connection now (RST)."""


@dataclass(frozen=True)
class StallForever:
    """Says nothing more and keeps the connection open."""


@dataclass(frozen=True)
class Bench:
    """Tokens that carry their send time; see stamped.py. The last user message may override it."""

    tokens: int = 200
    rate: float = 50.0
    paragraph: int = 40


Step = (
    Chunk
    | Text
    | Usage
    | Finish
    | Done
    | Comment
    | Wait
    | Gate
    | Raw
    | Wire
    | Headers
    | Status
    | Cut
    | Reset
    | StallForever
    | Bench
)


@dataclass(frozen=True, init=False)
class Script:
    """Steps, and how their bytes travel.

    byte_split: the body leaves in writes (and HTTP chunks) of so many bytes.
    framing: "chunked", or "close" for a body that only the end of the connection delimits.
    cut_after: the connection closes after so many bytes of the body, whatever the steps say.
    """

    steps: tuple[Step, ...]
    byte_split: int
    framing: Framing
    cut_after: int | None

    def __init__(
        self,
        *steps: Step | Iterable[Step],
        byte_split: int = 0,
        framing: Framing = "chunked",
        cut_after: int | None = None,
    ) -> None:
        flat: list[Step] = []
        for step in steps:
            flat.extend(step if isinstance(step, Iterable) else (step,))
        object.__setattr__(self, "steps", tuple(flat))
        object.__setattr__(self, "byte_split", byte_split)
        object.__setattr__(self, "framing", framing)
        object.__setattr__(self, "cut_after", cut_after)

    def using(self, **how: Any) -> Self:
        """The same steps, sent another way: `reply("Hi").using(byte_split=1)`."""
        kept = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "steps"}
        return type(self)(*self.steps, **(kept | how))


def reply(
    text: str,
    *,
    tokens: int | None = None,
    size: int = 4,
    rate: float = 0.0,
    reasoning: str = "",
    finish: str = "stop",
) -> Script:
    """A well-behaved answer: role, reasoning, text, finish reason, usage, [DONE]."""
    if tokens is not None:
        size = max(1, math.ceil(len(text) / tokens))
    body = Text(text, size, rate)
    thought = Reasoning(reasoning, size, rate)
    count = sum(1 for part in (thought, body) for _ in part.pieces())
    return Script(
        Chunk({"role": "assistant", "content": ""}),
        *([thought] if reasoning else []),
        *([body] if text else []),
        Finish(finish),
        Usage(completion_tokens=count),
        Done(),
    )


def tool_call(
    name: str, arguments: str, *, call_id: str = "call_1", index: int = 0, size: int = 4
) -> tuple[Chunk, ...]:
    """One tool call as OpenAI streams it: id and name first, then fragments of the arguments."""
    opening = {
        "index": index,
        "id": call_id,
        "type": "function",
        "function": {"name": name, "arguments": ""},
    }
    fragments = (
        {"index": index, "function": {"arguments": piece}}
        for piece in Text(arguments, size).pieces()
    )
    return tuple(Chunk({"tool_calls": [part]}) for part in (opening, *fragments))
