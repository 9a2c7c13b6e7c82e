"""What a request through the API tells the provider and the transcript does not show.

A request goes on as it came. What stands in it beside the text of its messages (reasoning, parts of
other kinds, names, the descriptions of tools, a schema, a prediction) is read by the model like any
other word, and so it is judged: with its message, and what belongs to none with the last one.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

from chat.models import Generation, Message

TEXTS = {"text": "text", "refusal": "refusal"}  # parts of a message that the transcript shows
# Pictures, sounds and files: no words, and long.
_ENCODED = re.compile(r"(?:data:[\w.+/;=-]{1,100},)?[A-Za-z0-9+/_-]{200,}={0,2}")


def unshown(request: Mapping[str, Any], number: int) -> Iterator[str]:
    """The strings that are judged with the message of this number, besides its text and calls."""
    messages = request["messages"]
    if number < len(messages):
        yield from _of_message(messages[number])
    if number == len(messages) - 1:
        yield from _words([value for name, value in request.items() if name != "messages"])


def unshown_of(message: Message) -> list[str]:
    """The same of a message on record; nothing for one that came through no request."""
    request = request_of(message.conversation_id)
    if request is None:
        return []
    before = Message.objects.filter(conversation=message.conversation_id, pk__lt=message.pk)
    return list(unshown(request, before.count()))


def request_of(conversation_id: UUID) -> dict[str, Any] | None:
    """The request that a conversation began with, if a program began it."""
    rows = Generation.objects.filter(
        conversation=conversation_id, conversation__api_key__isnull=False, request__isnull=False
    )
    found: dict[str, Any] | None = rows.order_by("pk").values_list("request", flat=True).first()
    return found


def by_message(request: Mapping[str, Any], message_ids: Iterable[int]) -> dict[int, list[str]]:
    """The same of all messages of a conversation: those of the request are its oldest."""
    numbered = zip(sorted(message_ids), range(len(request["messages"])), strict=False)
    return {pk: list(unshown(request, number)) for pk, number in numbered}


def _of_message(message: Mapping[str, Any]) -> Iterator[str]:
    for name, value in message.items():
        if name == "content" and isinstance(value, list):
            for part in value:
                shown = ("type", TEXTS[part["type"]]) if part["type"] in TEXTS else ()
                yield from _words([{k: v for k, v in part.items() if k not in shown}])
        elif name == "tool_calls":
            yield from _words([_without_arguments(call) for call in value or ()])
        elif name != "role" and not (name == "content" and isinstance(value, str)):
            yield from _words([value])


def _without_arguments(call: Mapping[str, Any]) -> dict[str, Any]:
    function = {k: v for k, v in call["function"].items() if k != "arguments"}
    return {**call, "function": function}


def _words(waiting: list[Any]) -> Iterator[str]:
    """The strings in a JSON value in their order, with the names in its objects and its numbers."""
    waiting.reverse()
    while waiting:
        match waiting.pop():
            case str() as text:
                if not _ENCODED.fullmatch(text):
                    yield text
            case bool() | None:
                pass
            case int() | float() as number:
                yield str(number)
            case dict() as pairs:
                waiting += [part for pair in reversed(pairs.items()) for part in reversed(pair)]
            case list() as items:
                waiting += reversed(items)
