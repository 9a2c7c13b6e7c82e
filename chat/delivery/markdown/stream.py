"""``MarkdownStream``: text that arrives in pieces → operations that bring a page up to date.

A reply arrives in thousands of pieces, and rendering all of it for each is quadratic. So:

* A block that can no longer change is rendered once and never looked at again (``Close``).
* Text that cannot change how the open blocks look is appended as it stands (``Text``).
* Only the rest renders the open blocks again (``Tail``), and only as far as the text has paid for
  it: each character that arrives pays for rendering ``RATE`` characters. A stream in debt appends
  text as it stands until it is out of it. So the cost is linear in the text, whatever is in it.
* The start of a line waits until it shows what it is: a list item, a rule, a fence, a table.
"""

from html import escape

from chat.delivery.markdown.labels import ENGLISH, Labels
from chat.delivery.markdown.lines import MAX_OPEN_LINE, Fence, is_settled
from chat.delivery.markdown.markup import NOT_PLAIN, OpenMarkup
from chat.delivery.markdown.ops import Op, Tail
from chat.delivery.markdown.parse import clean
from chat.delivery.markdown.shown import Shown
from chat.delivery.markdown.source import MAX_OPEN, Source

# Characters of rendering that each character of text pays for. More makes long lists and tables
# look right sooner, and costs time and bytes in proportion.
RATE = 6

# Characters of rendering, saved up over plain text, that outlive a block: enough for the first
# rows of a table.
MAX_SAVED = 4_000


class MarkdownStream:
    """Renders one text that arrives in pieces; fed in any pieces, it ends in ``render(text)``.

    ``caret`` is trusted HTML that stands in the tail where the next text belongs.
    """

    def __init__(self, labels: Labels = ENGLISH, caret: str = "") -> None:
        self._shown = Shown(caret)
        self._source = Source(labels)
        self._held = ""  # the end of the text, which the page does not have yet
        self._finished = False
        self._after_return = False  # the text so far ends with \r, which a \n may belong to
        # What is being written: the fence that it is in, if it is in a top-level one.
        self._fence: Fence | None = None
        self._settled = False  # it is known what the current line is …
        self._raw = False  # … or that line has become too long to wait for its end
        self._markup = OpenMarkup()
        self._due = False  # the open blocks look different from what is shown
        self._credit = 0
        self._calm = False  # plain text can be appended without another look

    @property
    def closed_html(self) -> str:
        """HTML of the blocks that will not change."""
        return self._shown.closed_html

    @property
    def tail_html(self) -> str:
        """HTML inside the tail element."""
        return self._shown.tail_html

    def html(self) -> str:
        """All that a page shows now, without the element around the tail."""
        return self.closed_html + self.tail_html

    def feed(self, text: str) -> list[Op]:
        """Take the next piece, cut at any character; return what brings the page up to date."""
        if self._calm and not NOT_PLAIN.search(text):
            self._source.append(text)
            self._credit += RATE * len(text)
            return [self._shown.append(text)] if text else []
        if self._finished:
            raise RuntimeError("fed after finish()")
        text = self._cleaned(text)
        if not text:
            return []
        before = self._source.last
        self._source.append(text)
        self._credit += RATE * len(text)
        ops = self._feed_fence(text) if self._fence else self._feed_lines(text, before)
        self._calm = (
            self._settled and not self._due and not self._fence and not self._markup.waiting
        )
        return ops

    def finish(self) -> list[Op]:
        """The text has ended: close what is open. The page then shows ``render(text)``."""
        if self._finished:
            return []
        self._finished, self._calm = True, False
        html = self._source.close_all()
        ops: list[Op] = [self._shown.close(html)] if html else []
        ops.append(self._shown.end())
        whole = self._source.whole_if_different(self.closed_html)
        return ops if whole is None else [self._shown.reset(whole)]

    def _cleaned(self, text: str) -> str:
        if self._after_return and text.startswith("\n"):
            text = text[1:]
        elif not text:
            return text
        self._after_return = text.endswith("\r")
        return clean(text)

    def _feed_fence(self, text: str) -> list[Op]:
        """Text inside a top-level code fence: nothing in it matters but the fence's end."""
        assert self._fence is not None
        text = self._held + text
        ended, self._held = self._fence.scan(text)
        if not ended:
            return self._append(text)
        self._fence = None
        self._look_at_line(text[text.rfind("\n") + 1 :])
        self._due = True
        return self._show(text, pays_for_itself=True)

    def _feed_lines(self, text: str, before: str) -> list[Op]:
        self._due = self._due or self._may_change_open_line(text, before)
        text = self._held + text
        closes = False
        if "\n" in text:
            lines = text.split("\n")
            # The end of a settled line tells nothing; what comes next shows what became of it.
            ended = lines[self._settled and not self._raw : -1]
            blank = sum(not line.strip(" \t") for line in ended)
            closes = blank > 0 and self._source.ends_with_blank_line
            self._due = self._due or closes or len(ended) > blank
            self._look_at_line(lines[-1])
        elif not self._settled:
            self._look_at_line(text)
        return self._show(text, pays_for_itself=closes)

    def _may_change_open_line(self, text: str, before: str) -> bool:
        """Whether ``text`` may change how what stands before it on its line looks."""
        if self._shown.in_code:
            return False
        return (
            self._markup.may_finish(text, before)
            or ("|" in text and self._source.kind == "table_open")
            or ("]" in text and self._source.has_references)
        )

    def _look_at_line(self, line: str) -> None:
        """Find out what can be said of the current line, given from its start."""
        settled = is_settled(line)
        self._raw = not settled and len(line) > MAX_OPEN_LINE
        self._settled = settled or self._raw
        self._held = "" if self._settled else line
        self._due = self._due or self._settled

    def _show(self, text: str, *, pays_for_itself: bool) -> list[Op]:
        """Put ``text`` on the page: by rendering, if that is due and paid for, or as it stands.

        Rendering pays for itself when it closes all that was open.
        """
        in_debt = self._credit < 0 and not pays_for_itself
        if not self._due or in_debt or self._raw or self._source.is_stuck:
            return self._append(text)
        self._due = False
        if self._source.grow():
            return [self._render()]
        ops: list[Op] = []
        if html := self._source.close(len(self._held)):
            self._credit = min(self._credit, MAX_SAVED)
            ops.append(self._shown.close(html))
        self._credit -= self._source.parse_cost
        markup = self._source.open_fence
        self._fence = Fence(markup, self._source.open_text.endswith("\n")) if markup else None
        if len(self._source.open_text) <= MAX_OPEN or self._fence:
            ops.append(self._render())
        elif ops:
            ops.append(self._shown.replace_tail_by_text(self._source.open_text))
        else:
            ops += self._append(text)
        return ops

    def _render(self) -> Tail:
        before, after = self._source.render_open()
        self._credit -= self._source.work
        self._markup.reset(self._source.markup)
        return self._shown.replace_tail(before, after, self._source.open_text)

    def _append(self, text: str) -> list[Op]:
        text = text[: len(text) - len(self._held)]
        return [self._shown.append(escape(text, quote=False))] if text else []
