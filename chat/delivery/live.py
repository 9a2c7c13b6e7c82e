"""A running reply on one page: its events → fragments.

Keeps what the page shows of it: the body, the reasoning so far, the status line.
Pure but for the translations; the viewer decides when to call it.
"""

import html
from collections.abc import Iterable
from typing import Any

from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.translation import gettext as _

from chat.delivery.body import LiveBody
from chat.delivery.calls import approvals_html
from chat.delivery.frames import Fragment, body_id
from chat.delivery.times import duration
from chat.engine.events import (
    CallDelta,
    CallStep,
    Ended,
    Event,
    Outcome,
    ReasoningDelta,
    RefusalDelta,
    Requested,
    Retrying,
    Step,
    TextDelta,
    Thought,
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


def thought_text(milliseconds: float | None) -> str:
    """The line over a folded reasoning section."""
    if milliseconds is None:
        return _("Thinking…")
    return _("Thought for %(time)s") % {"time": duration(milliseconds)}


class LiveReply:
    """What one page shows of one running reply."""

    def __init__(
        self, message_id: int, conversation_id: Any, schema: dict[str, Any] | None = None
    ) -> None:
        self.message_id, self._conversation_id = message_id, conversation_id
        self.ended: Outcome | None = None
        self._body = LiveBody(message_id, schema)
        self._asked = ""  # what the page asks the user about calls
        self._reasoning: list[str] = []
        self._thought_ms: float | None = None
        self._state: tuple[str, str] = ("", "")
        self._shown: Fragment | None = None

    def start(self, events: Iterable[Event]) -> list[Fragment]:
        """Fragments that put the reply so far on a page, whatever the page had of it."""
        self.apply(events)
        fragments = [
            Fragment(f"#{body_id(self.message_id)}", "innerHTML", self._body.html()),
            Fragment(f"#approvals-{self.message_id}", "innerHTML", self._asked),
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
            elif kind is CallDelta or kind is CallStep:
                fragments += self._write(text)
                text.clear()
                fragments += self._call(event)
            else:
                fragments += self._other(event)
        if thoughts:
            fragments[:0] = self._think("".join(thoughts))
        fragments += self._write(text)
        if self.ended is not None:
            fragments += self._body.finish()
            fragments += self._status(str(self.ended), ended_text(self.ended))
        return fragments

    def _write(self, text: list[str]) -> list[Fragment]:
        if not text:
            return []
        fragments = self._body.write("".join(text))
        if self.ended is None:
            fragments += self._status("writing", _("Writing…"))
        return fragments

    def _call(self, event: Event) -> list[Fragment]:
        if isinstance(event, CallDelta):
            fragments = self._body.call(event)
            return [*fragments, *self._status("writing", _("Preparing a tool call…"))]
        assert isinstance(event, CallStep)
        fragments = self._body.step(event)
        fragments += self._approvals()
        steps = {call.step for call in self._body.calls.values()}
        if Step.WAITING in steps:
            fragments += self._status("approval", _("A tool call waits for your approval."))
        elif Step.RUNNING in steps:
            fragments += self._status("tool", _("A tool is running…"))
        return fragments

    def _approvals(self) -> list[Fragment]:
        """The questions to the user, when they are not what the page has."""
        calls = self._body.calls.values()
        content = approvals_html(self.message_id, self._conversation_id, calls)
        if content == self._asked:
            return []
        self._asked = content
        return [Fragment(f"#approvals-{self.message_id}", "innerHTML", content)]

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
