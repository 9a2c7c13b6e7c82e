"""Text that a provider sends anew, and longer, with every chunk → what is new in it. Pure."""


class Growth:
    """Finds out, once per run of text, whether its pieces are parts or wholes.

    Some endpoints send in each chunk all of the text so far (met with Qwen's models at DashScope).
    A piece that begins with everything before it may be such a whole, or a coincidence ("#", then
    "##"): it is held until the next piece decides. Two growths in a row are no coincidence; pieces
    of an honest stream pass through from the second one on.
    """

    def __init__(self) -> None:
        self.parts = False  # it is settled that the pieces are parts
        self._wholes = False
        self._said = ""
        self._held = ""

    def feed(self, piece: str) -> str:
        """What this piece adds to the text."""
        if self.parts:
            return piece
        if self._wholes:
            return self._grown(piece)
        if not self._said:
            self._said = piece
            return piece
        before = self._held or self._said
        if len(piece) <= len(before) or not piece.startswith(before):
            self.parts = True
            return self.rest() + piece
        if self._held:
            self._wholes, self._held = True, ""
            return self._grown(piece)
        self._held = piece
        return ""

    def rest(self) -> str:
        """What was held back, when nothing more comes that could decide."""
        held, self._held = self._held, ""
        self.parts = self.parts or bool(held)
        return held

    def _grown(self, piece: str) -> str:
        if piece.startswith(self._said):
            new, self._said = piece[len(self._said) :], piece
            return new
        if self._said.startswith(piece):
            return ""
        self.parts = True
        return piece
