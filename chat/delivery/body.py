"""The body of a reply: text, tool calls where they stand in it, or an answer in a form.

A body is a row of parts: HTML that is finished, and cards of calls. The text of the last part is
the one that grows. A stored reply goes through the same parts, so a reload shows the same.
"""

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _

from chat.delivery.calls import ShownCall, shown
from chat.delivery.frames import CUT, Fragment, body_id, caret, tail
from chat.delivery.markdown import Close, Labels, MarkdownStream, Op, Reset, Tail, Text, render
from chat.delivery.structured import Card, CardStream, Words
from chat.engine.events import CallDelta, CallStep
from chat.models import ToolCall


def labels() -> Labels:
    return Labels(
        copy=_("Copy"),
        image=_("Image"),
        table=_("Table"),
        task_done=_("Done"),
        task_open=_("Not done"),
    )


def card(message_id: int, part: int, schema: dict[str, Any]) -> Card:
    words = Words(yes=_("Yes"), no=_("No"), raw=_("What the model wrote"))
    return Card(f"answer-{message_id}-{part}", schema, words)


class LiveBody:
    """The body of a running reply on one page; ``schema`` when it is an answer in a form."""

    def __init__(self, message_id: int, schema: dict[str, Any] | None = None) -> None:
        self.message_id = message_id
        self.calls: dict[int, ShownCall] = {}
        self._schema = schema
        self._parts: list[str | ShownCall] = []
        self._stream: MarkdownStream | CardStream = self._begin()

    def html(self) -> str:
        """All of it, for a page that has nothing yet."""
        closed, inner = self._open_part()
        return self._before() + closed + tail(self.message_id, inner)

    def write(self, text: str) -> list[Fragment]:
        stream = self._stream
        if isinstance(stream, MarkdownStream):
            return [self._fragment(op) for op in stream.feed(text)]
        target = stream.card.id_of
        return [
            Fragment(f"#tail-{self.message_id}", "beforebegin", change.html)
            if change.swap == "begin"
            else Fragment(f"#{target(change.path)}", change.swap, change.html)
            for change in stream.feed(text)
        ]

    def call(self, delta: CallDelta) -> list[Fragment]:
        """More of a call; its card stands where the text had come to when it began."""
        known = self.calls.get(delta.number)
        if known is not None:
            had_name = bool(known.name)
            due = known.apply(delta)
            if not had_name and known.name:
                return [CUT, Fragment(f"#{known.id}", "outerHTML", known.html()), CUT]
            content = known.arguments_html() if due else ""
            return [Fragment(f"#{known.arguments_id}", "innerHTML", content)] if due else []
        fragments = [*self._close_part(), CUT]
        begun = self.calls[delta.number] = ShownCall(self.message_id, delta.number)
        begun.apply(delta)
        self._parts.append(begun)
        fragments.append(Fragment(f"#tail-{self.message_id}", "beforebegin", begun.html()))
        return [*fragments, CUT]

    def step(self, event: CallStep) -> list[Fragment]:
        known = self.calls.get(event.number)
        if known is None:
            return []
        known.move(event)
        return [CUT, Fragment(f"#{known.id}", "outerHTML", known.html()), CUT]

    def finish(self) -> list[Fragment]:
        return [CUT, *self._end_text()] if self.calls else self._end_text()

    def _begin(self) -> MarkdownStream | CardStream:
        if self._schema is not None:
            return CardStream(card(self.message_id, len(self._parts), self._schema))
        return MarkdownStream(labels(), caret=caret(self.message_id))

    def _close_part(self) -> list[Fragment]:
        """The text so far is a part of its own; what follows begins anew."""
        fragments = [*self._end_text(), CUT]
        closed, _inner = self._open_part()
        self._parts.append(closed)
        self._stream = self._begin()
        _closed, inner = self._open_part()
        fragments.append(Fragment(f"#tail-{self.message_id}", "innerHTML", inner))
        return fragments

    def _end_text(self) -> list[Fragment]:
        stream = self._stream
        if isinstance(stream, MarkdownStream):
            return [self._fragment(op) for op in stream.finish()]
        whole = stream.finish()
        return [] if whole is None else [self._fragment(Reset(whole))]

    def _open_part(self) -> tuple[str, str]:
        """HTML before the tail, and in it."""
        if isinstance(self._stream, MarkdownStream):
            return self._stream.closed_html, self._stream.tail_html
        return self._stream.html(), ""

    def _before(self) -> str:
        return "".join(p if isinstance(p, str) else p.html() for p in self._parts)

    def _fragment(self, op: Op) -> Fragment:
        # By hand rather than by pattern: this runs for every token of every viewer.
        kind = type(op)
        if kind is Text:
            return Fragment(f"#caret-{self.message_id}", "beforebegin", op.html)
        if kind is Tail:
            return Fragment(f"#tail-{self.message_id}", "innerHTML", op.html)
        if kind is Close:
            return Fragment(f"#tail-{self.message_id}", "beforebegin", op.html)
        assert kind is Reset
        content = self._before() + op.html + tail(self.message_id, "")
        return Fragment(f"#{body_id(self.message_id)}", "innerHTML", content)


def stored_html(
    message_id: int,
    text: str,
    calls: Iterable[ToolCall],
    schema: dict[str, Any] | None,
    *,
    over: bool = True,
) -> str:
    """The body of a reply as it is on record; ``over`` when nothing more comes."""
    parts: list[str] = []
    at = 0

    def add(piece: str) -> None:
        if schema is None:
            parts.append(render(piece, labels()) if piece.strip() else "")
        else:
            parts.append(card(message_id, len(parts), schema).whole(piece))

    for call in calls:
        if call.offset > at or not parts:
            add(text[at : call.offset])
            at = call.offset
        parts.append(shown(call, over=over).html())
    add(text[at:])
    return "".join(parts)
