"""The assembler: folds deltas into a reply. Pure, and the same however the deltas are cut."""

from dataclasses import dataclass, field, replace

from chat.engine.events import (
    CallDelta,
    Delta,
    FinishDelta,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    UsageDelta,
)
from chat.engine.tool_calls import Call, ToolCalls


@dataclass(slots=True)
class Reply:
    """What a generation has produced so far, over one or more rounds.

    A round is one request to the provider; it may end in tool calls, whose results begin the next.
    The buffers are lists, joined when read: bounded by the endpoint's max tokens, and needed whole
    because the whole is what is saved.
    """

    calls: list[Call] = field(default_factory=list)
    """Those of the rounds before this one; ``open_calls`` has this one's."""
    finish_reason: str = ""
    refused: bool = False
    pieces: int = 0
    characters: int = 0
    text_chars: int = 0
    round: int = 1
    open_calls: ToolCalls = field(default_factory=ToolCalls)
    _text: list[str] = field(default_factory=list)
    _reasoning: list[str] = field(default_factory=list)
    _usage: UsageDelta | None = None
    _usage_before: UsageDelta | None = None

    def begin(self) -> None:
        """Forget what a call without a token left behind: the next one speaks for itself."""
        self._usage, self.finish_reason = None, ""

    def next_round(self) -> None:
        """What the tools answered goes to the provider: another request begins."""
        self.calls += self.open_calls.calls
        self._usage_before = self.usage
        self.round += 1
        self.open_calls = ToolCalls(len(self.calls), round=self.round)
        self.begin()

    def feed(self, delta: Delta) -> CallDelta | None:
        """Take a delta; returns what is new of a tool call, for who follows."""
        match delta:
            case TextDelta(text):
                self._say(text)
            case ReasoningDelta(text):
                self._add(self._reasoning, text)
            case RefusalDelta(text):
                self._say(text)
                self.refused = True
            case UsageDelta():
                self._usage = delta
            case FinishDelta(reason):
                # The first one counts: some providers repeat it, or send "stop" after "length".
                self.finish_reason = self.finish_reason or reason
            case ToolCallDelta():
                self.open_calls.offset = self.text_chars
                return self.open_calls.feed(delta)
        return None

    def close_calls(self) -> list[Call]:
        """The calls of this round, at its end."""
        return self.open_calls.close()

    def _say(self, text: str) -> None:
        self._add(self._text, text)
        self.text_chars += len(text)

    def _add(self, pieces: list[str], text: str) -> None:
        if self.finish_reason:
            self.finish_reason = ""  # it was not the end: some gateways put it on every chunk
        pieces.append(text)
        self.pieces += 1
        self.characters += len(text)

    @property
    def all_calls(self) -> list[Call]:
        return self.calls + self.open_calls.calls

    @property
    def usage(self) -> UsageDelta | None:
        """The tokens of all rounds; None where the provider has not told."""
        before, now = self._usage_before, self._usage
        if before is None or now is None:
            return now or before
        return replace(
            now,
            prompt_tokens=_sum(before.prompt_tokens, now.prompt_tokens),
            completion_tokens=_sum(before.completion_tokens, now.completion_tokens),
            reasoning_tokens=_sum(before.reasoning_tokens, now.reasoning_tokens),
        )

    @property
    def text(self) -> str:
        return "".join(self._text)

    @property
    def reasoning(self) -> str:
        return "".join(self._reasoning)

    @property
    def empty(self) -> bool:
        """Nothing that a reader could see."""
        return not (self.text.strip() or self.reasoning.strip() or self.all_calls)


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other
