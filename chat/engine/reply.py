"""The assembler: folds deltas into a reply. Pure, and the same however the deltas are cut."""

from dataclasses import dataclass, field

from chat.engine.events import (
    Delta,
    FinishDelta,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    UsageDelta,
)


@dataclass(slots=True)
class Reply:
    """What a generation has produced so far.

    The buffers are lists, joined when read: bounded by the endpoint's max tokens, and needed whole
    because the whole is what is saved.
    """

    _text: list[str] = field(default_factory=list)
    _reasoning: list[str] = field(default_factory=list)
    usage: UsageDelta | None = None
    finish_reason: str = ""
    refused: bool = False
    pieces: int = 0
    characters: int = 0

    def begin(self) -> None:
        """Forget what a call without a token left behind: the next one speaks for itself."""
        self.usage, self.finish_reason = None, ""

    def feed(self, delta: Delta) -> None:
        match delta:
            case TextDelta(text):
                self._add(self._text, text)
            case ReasoningDelta(text):
                self._add(self._reasoning, text)
            case RefusalDelta(text):
                self._add(self._text, text)
                self.refused = True
            case UsageDelta():
                self.usage = delta
            case FinishDelta(reason):
                # The first one counts: some providers repeat it, or send "stop" after "length".
                self.finish_reason = self.finish_reason or reason
            case ToolCallDelta():
                # Parley sends no tools yet, so a call can only be noise. It still is an answer.
                pass

    def _add(self, pieces: list[str], text: str) -> None:
        if self.finish_reason:
            self.finish_reason = ""  # it was not the end: some gateways put it on every chunk
        pieces.append(text)
        self.pieces += 1
        self.characters += len(text)

    @property
    def text(self) -> str:
        return "".join(self._text)

    @property
    def reasoning(self) -> str:
        return "".join(self._reasoning)

    @property
    def empty(self) -> bool:
        """Nothing that a reader could see."""
        return not (self.text.strip() or self.reasoning.strip())
