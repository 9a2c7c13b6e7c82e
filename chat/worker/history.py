"""A branch of a conversation → the messages of a request to the provider."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from chat.engine.request import result_message
from chat.engine.tool_calls import Call
from chat.engine.turn import UNFINISHED
from chat.models import CallState, Message, Role, ToolCall

CONTINUE = (
    "Your last message was cut off. Continue it exactly where it stopped, in the middle of the "
    "word if need be. Repeat nothing of it, begin no new answer, and say nothing about this."
)
NO_RESULT = "This call was not run."


def history(
    messages: dict[int, Message],
    calls: Mapping[int, list[ToolCall]],
    last: Message | None,
    instructions: str,
) -> list[dict[str, Any]]:
    """What the provider is asked: instructions, then the branch that ends with ``last``.

    ``messages`` are by id, ``calls`` those of each message by its id.

    Left out: replies without anything in them, and withheld ones, which nobody has let through.
    When the whole is longer than ``CONTEXT_MAX_CHARS`` the oldest go first; the newest message
    always stays.

    A reply and its continuations are one turn, because many models want the roles to alternate.
    When ``last`` is a cut reply, the model is asked in words to go on: only some endpoints take a
    partial answer as the beginning of theirs, and others answer anew without a sign of it.
    """
    turns: list[list[dict[str, Any]]] = []
    budget = settings.CONTEXT_MAX_CHARS
    current = last
    while current is not None:
        said = _turn(current, calls.get(current.pk, []))
        if said:
            budget -= sum(_size(message) for message in said)
            if budget < 0 and turns:
                break
            if turns and _is_text(said[-1]) and _is_text(turns[-1][0]):
                said[-1]["content"] += turns[-1].pop(0)["content"]
                said += turns.pop()
            turns.append(said)
        current = messages.get(current.parent_id or 0)
    asked = [message for turn in reversed(turns) for message in turn]
    if asked and last is not None and last.role == Role.ASSISTANT and _is_text(asked[-1]):
        asked.append({"role": "user", "content": CONTINUE})
    return [{"role": "system", "content": instructions}, *asked] if instructions else asked


def _turn(message: Message, called: list[ToolCall]) -> list[dict[str, Any]]:
    if message.role == Role.TOOL:
        return []  # came through the API, and belongs to a call that only its caller knows
    if message.role != Role.ASSISTANT:
        return [{"role": message.role, "content": message.text}] if message.text else []
    if message.withheld_at is not None:
        return []
    said: list[dict[str, Any]] = []
    at = 0
    for calls in _rounds(called):
        text, at = message.text[at : calls[0].offset], calls[0].offset
        sent = [_call(call).as_sent() for call in calls]
        said.append({"role": "assistant", "content": text.strip() or None, "tool_calls": sent})
        said += [result_message(call.call_id, _result(call)) for call in calls]
    rest = message.text[at:].lstrip("\n") if said else message.text
    if rest:
        said.append({"role": "assistant", "content": rest})
    return said


def _rounds(calls: list[ToolCall]) -> list[list[ToolCall]]:
    rounds: dict[int, list[ToolCall]] = {}
    for call in calls:
        rounds.setdefault(call.round, []).append(call)
    return list(rounds.values())


def _call(row: ToolCall) -> Call:
    return Call(row.number, id=row.call_id, name=row.name, parsed=row.parsed)


def _result(call: ToolCall) -> str:
    if call.result or call.state != CallState.RUNNING:
        return call.result or NO_RESULT
    return UNFINISHED


def _is_text(message: dict[str, Any]) -> bool:
    """Is it something that the model said, and no call?"""
    return bool(message["role"] == "assistant" and "tool_calls" not in message)


def _size(message: dict[str, Any]) -> int:
    calls = message.get("tool_calls") or ()
    arguments = sum(len(call["function"]["arguments"]) for call in calls)
    return len(message["content"] or "") + arguments
