"""Tool calls as cards: one rendering for a running reply and for a stored one."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import jiter
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from chat.delivery.times import duration
from chat.engine.events import CallDelta, CallStep, Step
from chat.models import ToolCall

SHOWN_CHARS = 2_000  # of one argument; the export has it whole
SHOWN_ARGUMENTS = 30
SHOWN_TIMES = 32  # arguments that grow are shown again when they have grown by a part of themselves


def step_text(step: str) -> str:
    return {
        Step.WRITTEN: pgettext("tool call", "Preparing…"),
        Step.WAITING: pgettext("tool call", "Waiting for you"),
        Step.RUNNING: pgettext("tool call", "Running…"),
        Step.DONE: pgettext("tool call", "Done"),
        Step.FAILED: pgettext("tool call", "Failed"),
        Step.INVALID: pgettext("tool call", "Arguments not valid, not run"),
        Step.DENIED: pgettext("tool call", "Denied"),
        Step.STOPPED: pgettext("tool call", "Stopped"),
        Step.PASSED_ON: pgettext("tool call", "Passed on"),
    }.get(Step(step), step)


@dataclass(slots=True)
class ShownCall:
    """A call as a page shows it."""

    message_id: int
    number: int
    name: str = ""
    step: str = Step.WRITTEN
    result: str = ""
    duration_ms: float | None = None
    _arguments: list[str] = field(default_factory=list)
    _chars: int = 0
    _shown_at: int = 0

    @property
    def id(self) -> str:
        return f"call-{self.message_id}-{self.number}"

    @property
    def arguments_id(self) -> str:
        return f"arguments-{self.message_id}-{self.number}"

    @property
    def arguments(self) -> str:
        return "".join(self._arguments)

    def apply(self, delta: CallDelta) -> bool:
        """Take more of it; returns whether the arguments should be shown again."""
        self.name = self.name or delta.name
        self._arguments.append(delta.arguments)
        self._chars += len(delta.arguments)
        if self._chars - self._shown_at <= self._shown_at / SHOWN_TIMES:
            return False
        self._shown_at = self._chars
        return True

    def move(self, event: CallStep) -> None:
        self.step, self.result, self.duration_ms = event.step, event.result, event.duration_ms

    def html(self) -> str:
        return render_to_string("chat/_call.html", self.context())

    def arguments_html(self) -> str:
        return render_to_string("chat/_call_arguments.html", {"arguments": self.pairs()})

    def context(self) -> dict[str, Any]:
        step = Step(self.step)
        return {
            "id": self.id,
            "arguments_id": self.arguments_id,
            "name": self.name or _("a tool"),
            "step": str(step),
            "step_text": step_text(step),
            "took": duration(self.duration_ms) if self.duration_ms is not None else "",
            "arguments": self.pairs(),
            "result": self.result,
        }

    def pairs(self) -> list[tuple[str, str]]:
        """Names and values of the arguments, as far as they have come."""
        text = self.arguments
        try:
            value = jiter.from_json(
                text.encode("utf-8", "replace"), partial_mode="trailing-strings"
            )
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            return [(name, _as_text(one)) for name, one in list(value.items())[:SHOWN_ARGUMENTS]]
        # What is no object is shown as it is, so that who reads sees what the model did.
        return [("", text[:SHOWN_CHARS])] if text.strip() not in ("", "{", "null") else []


def shown(call: ToolCall, *, over: bool) -> ShownCall:
    """A stored call. When its reply is ``over``, what has not ended has been stopped."""
    step = Step(call.state)
    if over and not step.last:
        step = Step.STOPPED
    return ShownCall(
        call.message_id,
        call.number,
        call.name,
        step,
        call.result,
        call.duration_ms,
        [call.arguments],
    )


def approvals_html(message_id: int, conversation_id: Any, calls: Iterable[ShownCall]) -> str:
    """Allow or deny: for each call of a message that waits for its user."""
    waiting = [call for call in calls if call.step == Step.WAITING]
    return (
        render_to_string(
            "chat/_approvals.html",
            {"message_id": message_id, "conversation_id": conversation_id, "calls": waiting},
        )
        if waiting
        else ""
    )


def _as_text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…"
