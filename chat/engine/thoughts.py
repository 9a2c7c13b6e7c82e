"""Thinking that stands between tags at the beginning of a text → reasoning and text. Pure.

Models that think write it into their text, and servers without a parser for the model's tags pass
it on: ``<think>`` (DeepSeek, Qwen, MiniMax, Perplexity), ``<thought>`` (Gemini, EXAONE),
``<thinking>``, ``[THINK]`` (Mistral), ``◁think▷`` (Kimi). Only a tag that opens the text counts:
anywhere else it may be what the text is about. For the same reason a closing tag without an
opening one, as the templates of some models make it, stays as it is: by then the text is shown.
"""

from chat.engine.events import ReasoningDelta, TextDelta

TAGS = {
    "<think>": "</think>",
    "<thought>": "</thought>",
    "<thinking>": "</thinking>",
    "[THINK]": "[/THINK]",
    "◁think▷": "◁/think▷",
}
HELD_CHARS = 64  # of white space that may stand before a tag; beyond that it is what is said
Piece = tuple[type[TextDelta] | type[ReasoningDelta], str]


class Thoughts:
    """Splits the text of one reply, however it is cut. White space around a thought is dropped."""

    def __init__(self) -> None:
        self.over = False  # from here on all is text
        self._end = ""  # the tag that ends the thought that has begun
        self._held = ""
        self._thought = False  # something of it has been given out
        self._ended = False

    def feed(self, text: str) -> list[Piece]:
        """What is certain after this piece, in order."""
        if self.over:
            return [(TextDelta, text)] if text else []
        text, self._held = self._held + text, ""
        if self._ended:
            return self._after(text)
        return self._within(text) if self._end else self._before(text)

    def finish(self) -> list[Piece]:
        """What was held back, when nothing more comes."""
        held, self._held = self._held, ""
        if self._end:  # all of it may be the beginning of the closing tag, and hardly anything else
            held = _parted(held, self._end)[0].rstrip()
            return [(ReasoningDelta, held)] if held else []
        self.over = True
        return [(TextDelta, held)] if held else []

    def _before(self, text: str) -> list[Piece]:
        start = text.lstrip()
        for tag, end in TAGS.items():
            if start.startswith(tag):
                self._end = end
                return self._within(start.removeprefix(tag))
        if len(text) <= HELD_CHARS and any(tag.startswith(start) for tag in TAGS):
            self._held = text
            return []
        self.over = True
        return [(TextDelta, text)]

    def _within(self, text: str) -> list[Piece]:
        if not self._thought:
            text = text.lstrip()
        thought, self._ended, answer = _parted(text, self._end)
        shown = thought.rstrip()
        if len(thought) - len(shown) > HELD_CHARS:
            shown = thought
        pieces: list[Piece] = [(ReasoningDelta, shown)] if shown else []
        self._thought = self._thought or bool(shown)
        if self._ended:
            return pieces + self._after(answer)
        self._held = text[len(shown) :]
        return pieces

    def _after(self, text: str) -> list[Piece]:
        text = text.lstrip()
        if not text:
            return []
        self.over = True
        return [(TextDelta, text)]


def _parted(text: str, end: str) -> tuple[str, bool, str]:
    """The text before ``end``, whether that has come, and the text after it. While it has not, a
    beginning of it at the end of the text does not count as text before it."""
    before, found, after = text.partition(end)
    if found:
        return before, True, after
    for size in range(min(len(end) - 1, len(text)), 0, -1):
        if text.endswith(end[:size]):
            return text[:-size], False, ""
    return text, False, ""
