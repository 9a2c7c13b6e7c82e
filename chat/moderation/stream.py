"""Windows of a reply that is still being written, for checks on the way. Pure."""

# Before what is new: the patterns reach no farther than a sentence, and a word may be cut.
OVERLAP_CHARS = 1_000
WORD_CHARS = 80  # a longer run without a gap is no word


class Windows:
    """Cuts a growing text at the ends of words: "assist" must not be read as less than it is.

    ``seen`` characters are there from the beginning, and no reason to look.
    """

    def __init__(self, every_chars: int, seen: int = 0) -> None:
        self._every, self._seen = every_chars, seen
        self._judged = 0  # characters

    def is_due(self, length: int) -> bool:
        return length - self._seen >= self._every

    def next(self, text: str) -> tuple[int, str]:
        """The window that holds what is new, and where it begins. Call when one is due."""
        self._seen = end = len(text)
        tail = range(end - 1, max(0, end - WORD_CHARS) - 1, -1)
        cut = next((at for at in tail if text[at].isspace()), end)
        start = max(0, self._judged - OVERLAP_CHARS)
        if start and not text[start - 1].isspace():
            ahead = range(start, min(start + WORD_CHARS, self._judged))
            start = next((at for at in ahead if text[at].isspace()), start)
        self._judged = max(self._judged, cut)
        return start, text[start:cut]
