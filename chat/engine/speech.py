"""The strings of a stream, in the order in which they came → deltas that can be shown. Pure.

A string passes three stations: what is new in it (``growth``), what of it is thinking
(``thoughts``), and whether its characters are whole. In a plain stream the first two are done with
after the first tokens, and all that is left are the three tests in ``say``.
"""

from chat.engine.events import Delta, ReasoningDelta, RefusalDelta, TextDelta
from chat.engine.growth import Growth
from chat.engine.thoughts import Thoughts
from chat.engine.wellformed import REPLACEMENT, opens_pair, well_formed

Said = type[TextDelta] | type[ReasoningDelta] | type[RefusalDelta]


class Speech:
    """What one reply says.

    A character outside the basic plane may be cut in two by providers that count in UTF-16: its
    first half is held back until the second comes.
    """

    def __init__(self) -> None:
        self._kind: Said | None = None
        self._growth: Growth | None = None
        self._thoughts: Thoughts | None = Thoughts()
        self._half: tuple[Said, str] | None = None

    def say(self, kind: Said, text: str, deltas: list[Delta]) -> None:
        """Add a string of this kind."""
        if not text:
            return
        if kind is not self._kind:
            self._turn(deltas)
            self._kind, self._growth = kind, Growth()
        if self._growth is not None:
            text = self._growth.feed(text)
            if self._growth.parts:
                self._growth = None
        if self._thoughts is None:
            self._put(kind, text, deltas)
        else:
            self._split(kind, text, deltas)

    def flush(self, deltas: list[Delta]) -> None:
        """Give out what was held back: the reply, or the model's part in it, has ended."""
        self._turn(deltas)
        if self._thoughts is not None:
            for kind, piece in self._thoughts.finish():
                self._put(kind, piece, deltas)
        self._drop_half(deltas)

    def _turn(self, deltas: list[Delta]) -> None:
        """What of one kind is held back comes before anything of another kind."""
        if self._kind is not None and self._growth is not None and (text := self._growth.rest()):
            self._split(self._kind, text, deltas)

    def _split(self, kind: Said, text: str, deltas: list[Delta]) -> None:
        if self._thoughts is None or kind is not TextDelta:
            self._put(kind, text, deltas)
            return
        for part, piece in self._thoughts.feed(text):
            self._put(part, piece, deltas)
        if self._thoughts.over:
            self._thoughts = None

    def _put(self, kind: Said, text: str, deltas: list[Delta]) -> None:
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
                self._drop_half(deltas)
        if text and opens_pair(text[-1]):
            text, self._half = text[:-1], (kind, text[-1])
        return well_formed(text)

    def _drop_half(self, deltas: list[Delta]) -> None:
        half, self._half = self._half, None
        if half is not None:
            deltas.append(half[0](REPLACEMENT))
