"""The messages of a request as rows of a transcript: who said what, as text. Pure."""

from dataclasses import dataclass, field
from typing import Any

from chat.api.errors import invalid
from chat.models import Role
from chat.passed_on import TEXTS

ROLES = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "tool": Role.TOOL,
}
# What a part that is no text is called in the transcript; the provider gets it as it came, and the
# strings in it are judged: see ``chat.passed_on``.
NOTES = {"image_url": "[image]", "input_audio": "[audio]", "file": "[file]"}


@dataclass(frozen=True, slots=True)
class Called:
    """A tool call that stands in the history."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Said:
    role: Role
    text: str
    calls: tuple[Called, ...] = field(default=())


def said(message: Any, at: str) -> Said:
    """One message, checked; ``at`` is its place in the body, for who has to find the mistake.

    Raises:
        ApiError
    """
    if not isinstance(message, dict):
        raise invalid(f"{at} must be an object.", at)
    given = message.get("role")
    role = ROLES.get(given) if isinstance(given, str) else None
    if role is None:
        raise invalid(f"{at}.role must be one of: {', '.join(ROLES)}.", f"{at}.role")
    calls = _calls(message, at) if role is Role.ASSISTANT else ()
    content = message.get("content")
    text = "" if content is None else _text(content, f"{at}.content")
    if role is Role.ASSISTANT:
        refusal = message.get("refusal")
        text = text or (refusal if isinstance(refusal, str) else "")
    if content is None and not text and not calls:
        raise invalid(f"{at}.content is missing.", f"{at}.content")
    if role is Role.TOOL and not isinstance(message.get("tool_call_id"), str):
        raise invalid(f"{at}.tool_call_id is missing.", f"{at}.tool_call_id")
    return Said(role, text, calls)


def _text(content: Any, at: str) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        raise invalid(f"{at} must be a string or a list of content parts.", at)
    return "\n".join(_part(part, f"{at}[{number}]") for number, part in enumerate(content))


def _part(part: Any, at: str) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(kind, str):
        raise invalid(f"{at} must be an object with a `type`.", at)
    if kind not in TEXTS:
        return NOTES.get(kind, f"[{kind[:40]}]")
    text = part.get(TEXTS[kind])
    if not isinstance(text, str):
        raise invalid(f"{at}.{TEXTS[kind]} must be a string.", f"{at}.{TEXTS[kind]}")
    return text


def _calls(message: dict[str, Any], at: str) -> tuple[Called, ...]:
    given = message.get("tool_calls")
    if given is None:
        return ()
    at = f"{at}.tool_calls"
    if not isinstance(given, list):
        raise invalid(f"{at} must be a list.", at)
    return tuple(_call(call, f"{at}[{number}]") for number, call in enumerate(given))


def _call(call: Any, at: str) -> Called:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        raise invalid(f"{at}.function must be an object.", f"{at}.function")
    identity, name, arguments = call.get("id"), function.get("name"), function.get("arguments")
    if not isinstance(identity, str) or not isinstance(name, str) or not isinstance(arguments, str):
        raise invalid(f"{at} must have an id, a function name and arguments, all strings.", at)
    return Called(identity, name, arguments)
