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

    def feed(self, delta: Delta) -> None:
        match delta:
            case TextDelta(text):
                self._text.append(text)
                self.pieces += 1
                self.characters += len(text)
            case ReasoningDelta(text):
                self._reasoning.append(text)
                self.pieces += 1
                self.characters += len(text)
            case RefusalDelta(text):
                self._text.append(text)
                self.refused = True
                self.pieces += 1
                self.characters += len(text)
            case UsageDelta():
                self.usage = delta
            case FinishDelta(reason):
                # The first one counts: some providers repeat it, or send "stop" after "length".
                self.finish_reason = self.finish_reason or reason
            case ToolCallDelta():
                # Parley sends no tools yet, so a call can only be noise. It still is an answer.
                pass

    @property
    def text(self) -> str:
        return "".join(self._text)

    @property
    def reasoning(self) -> str:
        return "".join(self._reasoning)

    @property
    def empty(self) -> bool:
        return not self.characters
