"""A running reply on one page: its events → fragments.

Keeps what the page shows of it: the incremental markdown, the reasoning so far, the status line.
Pure but for the translations; the viewer decides when to call it.
"""

import html
from collections.abc import Iterable

from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.translation import gettext as _

from chat.delivery.frames import Fragment, body_id, caret, tail
from chat.delivery.markdown import Close, Labels, MarkdownStream, Op, Reset, Tail, Text
from chat.engine.events import (
    Ended,
    Event,
    Outcome,
    ReasoningDelta,
    RefusalDelta,
    Requested,
    Retrying,
    TextDelta,
    Thought,
)


def labels() -> Labels:
    return Labels(
        copy=_("Copy"),
        image=_("Image"),
        table=_("Table"),
        task_done=_("Done"),
        task_open=_("Not done"),
    )


def status(state: str, text: str) -> Fragment:
    """The status region; ``state`` is what the page's buttons look at."""
    content = f'<span data-state="{state}">{html.escape(text)}</span>'
    return Fragment("#status", "innerHTML", content)


def ended_text(outcome: Outcome) -> str:
    return {
        Outcome.COMPLETE: _("Done."),
        Outcome.STOPPED: _("Stopped."),
        Outcome.INTERRUPTED: _("The reply was interrupted."),
        Outcome.FAILED: _("The reply failed."),
    }[outcome]


def duration(milliseconds: float) -> str:
    if milliseconds < 1000:
        return _("%(milliseconds)s ms") % {"milliseconds": f"{milliseconds:.0f}"}
    value = milliseconds / 1000
    return _("%(seconds)s s") % {"seconds": f"{value:.1f}" if value < 10 else f"{value:.0f}"}


def thought_text(milliseconds: float | None) -> str:
    """The line over a folded reasoning section."""
    if milliseconds is None:
        return _("Thinking…")
    return _("Thought for %(time)s") % {"time": duration(milliseconds)}


class LiveReply:
    """What one page shows of one running reply."""

    def __init__(self, message_id: int) -> None:
        self.message_id = message_id
        self.ended: Outcome | None = None
        self.has_text = False
        self._markdown = MarkdownStream(labels(), caret=caret(message_id))
        self._reasoning: list[str] = []
        self._thought_ms: float | None = None
        self._state: tuple[str, str] = ("", "")
        self._shown: Fragment | None = None

    def start(self, events: Iterable[Event]) -> list[Fragment]:
        """Fragments that put the reply so far on a page, whatever the page had of it."""
        self.apply(events)
        fragments = [
            Fragment(
                f"#{body_id(self.message_id)}",
                "innerHTML",
                self._markdown.closed_html + tail(self.message_id, self._markdown.tail_html),
            )
        ]
        if self._reasoning:
            fragments.append(self._reasoning_section("".join(self._reasoning)))
        if self._shown is not None:
            fragments.append(self._shown)
        return fragments

    def apply(self, events: Iterable[Event]) -> list[Fragment]:
        """Fragments that bring a page that has all earlier ones up to date."""
        fragments: list[Fragment] = []
        text: list[str] = []
        thoughts: list[str] = []
        for event in events:
            # By hand rather than by pattern: this runs for every token of every viewer.
            kind = type(event)
            if kind is TextDelta or kind is RefusalDelta:
                text.append(event.text)  # type: ignore[union-attr]
            elif kind is ReasoningDelta:
                thoughts.append(event.text)  # type: ignore[union-attr]
            else:
                fragments.extend(self._other(event))
        if thoughts:
            fragments[:0] = self._think("".join(thoughts))
        if text:
            self.has_text = True
            ops = self._markdown.feed("".join(text))
            fragments.extend(self._fragment(op) for op in ops)
            if self.ended is None:
                fragments.extend(self._status("writing", _("Writing…")))
        if self.ended is not None:
            fragments.extend(self._fragment(op) for op in self._markdown.finish())
            fragments.extend(self._status(str(self.ended), ended_text(self.ended)))
        return fragments

    def _other(self, event: Event) -> list[Fragment]:
        match event:
            case Requested():
                return self._status("waiting", _("Waiting for the first token…"))
            case Retrying(delay_s):
                return self._retrying(delay_s)
            case Thought(duration_ms):
                self._thought_ms = duration_ms
                content = html.escape(thought_text(duration_ms))
                return [Fragment(f"#thought-{self.message_id}", "innerHTML", content)]
            case Ended(outcome):
                self.ended = outcome
        return []

    def _think(self, text: str) -> list[Fragment]:
        first = not self._reasoning
        self._reasoning.append(text)
        if first:
            return [
                self._reasoning_section(text),
                *self._status("thinking", _("Thinking…")),
            ]
        target = f"#thinking-caret-{self.message_id}"
        return [Fragment(target, "beforebegin", html.escape(text, quote=False))]

    def _reasoning_section(self, text: str) -> Fragment:
        content = render_to_string(
            "chat/_reasoning.html",
            {
                "message_id": self.message_id,
                "reasoning": text,
                "live": True,
                "thought": thought_text(self._thought_ms),
            },
        )
        return Fragment(f"#reasoning-{self.message_id}", "innerHTML", content)

    def _retrying(self, delay_s: float) -> list[Fragment]:
        text = _("The model is busy. Trying again in %(wait)s…")
        wait = duration(delay_s * 1000)
        self._state = ("waiting", text % {"wait": wait})
        # The page counts the seconds down; a screen reader hears them once.
        content = format_html(
            '<span data-state="waiting"><span class="visually-hidden">{}</span>'
            '<span aria-hidden="true">{}</span></span>',
            self._state[1],
            format_html(
                text.replace("%(wait)s", "{}"),
                format_html('<span data-countdown="{}">{}</span>', f"{delay_s:.1f}", wait),
            ),
        )
        self._shown = Fragment("#status", "innerHTML", content)
        return [self._shown]

    def status_now(self) -> Fragment:
        """The status line as the page should have it."""
        return self._shown or status("", "")

    def _status(self, state: str, text: str) -> list[Fragment]:
        if (state, text) == self._state:
            return []
        self._state = (state, text)
        self._shown = status(state, text)
        return [self._shown]

    def _fragment(self, op: Op) -> Fragment:
        kind = type(op)
        if kind is Text:
            return Fragment(f"#caret-{self.message_id}", "beforebegin", op.html)
        if kind is Tail:
            return Fragment(f"#tail-{self.message_id}", "innerHTML", op.html)
        if kind is Close:
            return Fragment(f"#tail-{self.message_id}", "beforebegin", op.html)
        assert kind is Reset
        return Fragment(
            f"#{body_id(self.message_id)}", "innerHTML", op.html + tail(self.message_id, "")
        )
