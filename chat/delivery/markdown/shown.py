"""What a page shows while a text streams in."""

from html import escape

from markdown_it.common.utils import MD_TRIM_CHARS

from chat.delivery.markdown.ops import Close, Reset, Tail, Text


class Shown:
    """The page's side of a stream. Each method changes it and returns the operation to send."""

    def __init__(self, caret: str) -> None:
        self._caret = caret
        self._closed: list[str] = []
        self._before = ""
        self._appended: list[str] = []  # joined when a late viewer asks; ends with the next Tail
        self._after = ""

    @property
    def closed_html(self) -> str:
        self._closed = ["".join(self._closed)]
        return self._closed[0]

    @property
    def tail_html(self) -> str:
        self._appended = ["".join(self._appended)]
        return f"{self._before}{self._appended[0]}{self._caret}{self._after}"

    @property
    def in_code(self) -> bool:
        """Whether appended text becomes part of a code block."""
        return self._after.startswith("</code></pre>")

    def close(self, html: str) -> Close:
        self._closed.append(html)
        return Close(html)

    def append(self, html: str) -> Text:
        self._appended.append(html)
        return Text(html)

    def replace_tail(self, before: str, after: str, source: str) -> Tail:
        """Show HTML made from ``source`` as the tail, with the caret between its two parts."""
        self._before, self._after = before, after
        self._appended = []
        if not self.in_code:
            # Rendering drops the space at the end of a line; the next word must not lose it.
            self._before += source[len(source.rstrip(MD_TRIM_CHARS)) :] if before else ""
        elif not source.endswith("\n"):
            # An indented code block ends with a line end that has not been written yet.
            self._before = self._before.removesuffix("\n")
        return Tail(self.tail_html)

    def replace_tail_by_text(self, text: str) -> Tail:
        """Show ``text`` as it stands."""
        self._before, self._appended, self._after = escape(text, quote=False), [], ""
        return Tail(self.tail_html)

    def end(self) -> Tail:
        """Empty the tail; the caret goes with it."""
        self._before = self._caret = self._after = ""
        self._appended = []
        return Tail("")

    def reset(self, html: str) -> Reset:
        self.end()
        self._closed = [html]
        return Reset(html)
