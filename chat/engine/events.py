"""Deltas and events: what a provider said, and what happened. Typed values, never HTML.

A delta is one piece from the provider. An event is an entry of a generation's log: the deltas that
a viewer can see, what the engine did meanwhile, and exactly one ``Ended``, which closes the log.
"""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    text: str


@dataclass(frozen=True, slots=True)
class RefusalDelta:
    """The model declines, in its own words; shown like text."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A fragment of a tool call. Any field may be missing in any fragment. See ``CallDelta``."""

    index: int | None
    id: str | None
    name: str | None
    arguments: str


@dataclass(frozen=True, slots=True)
class UsageDelta:
    """Token counts. A later one replaces an earlier one: some providers repeat it in each chunk."""

    prompt_tokens: int | None
    completion_tokens: int | None
    reasoning_tokens: int | None


@dataclass(frozen=True, slots=True)
class FinishDelta:
    reason: str


Delta = TextDelta | ReasoningDelta | RefusalDelta | ToolCallDelta | UsageDelta | FinishDelta


class Outcome(StrEnum):
    """The terminal states, as the engine knows them."""

    COMPLETE = "complete"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Requested:
    """A call to the provider begins; ``call`` counts from 1."""

    call: int


@dataclass(frozen=True, slots=True)
class Retrying:
    """The call failed before the first token; the next one begins in ``delay_s`` seconds."""

    delay_s: float
    kind: str


@dataclass(frozen=True, slots=True)
class Thought:
    """The first text after reasoning: the model thought for ``duration_ms``."""

    duration_ms: float


class Step(StrEnum):
    """Where a tool call is. From ``DONE`` on it moves no more."""

    WRITTEN = "written"
    WAITING = "waiting"  # for the user's approval
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INVALID = "invalid"  # the arguments: it was not run
    DENIED = "denied"
    STOPPED = "stopped"
    PASSED_ON = "passed_on"  # to who asked through the API, and runs it himself

    @property
    def last(self) -> bool:
        return self not in (Step.WRITTEN, Step.WAITING, Step.RUNNING)


@dataclass(frozen=True, slots=True)
class CallDelta:
    """More of the call ``number``, which counts from 0 within the reply.

    The fragments as they came are assembled already: ``name`` is whole, and empty where it is not
    new; ``arguments`` are to be appended.
    """

    number: int
    name: str
    arguments: str
    id: str = ""  # the provider's, with the first of a call; who asked through the API wants it


@dataclass(frozen=True, slots=True)
class CallStep:
    """A call has moved on; ``result`` is there when it is one of the last steps."""

    number: int
    step: Step
    result: str = ""
    duration_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """The one terminal event of a log."""

    outcome: Outcome


Event = (
    TextDelta
    | ReasoningDelta
    | RefusalDelta
    | CallDelta
    | CallStep
    | Requested
    | Retrying
    | Thought
    | Ended
)
