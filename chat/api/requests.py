"""The body of a chat completion request → what is asked. Pure, but for the limits' settings.

What goes to the provider is what came, field by field: only the frame is taken off, and what could
not be honoured is refused by name instead of being dropped in silence.
"""

import json
import math
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from chat.api.errors import ApiError, invalid, unknown_model
from chat.api.transcripts import Said, said
from chat.models import Transport

MESSAGES_MAX = 2048
MODEL_CHARS = 200
DEPTH_MAX = 64  # of nested lists and objects; databases that parse JSON have a limit too
# Ours to say to the provider, or nobody's: whose request it is stays in this house.
OURS = ("model", "stream", "stream_options", "n", "user", "safety_identifier", "store", "metadata")
# What would come back in a form that is neither saved nor passed on.
REFUSED = {
    "functions": "Use `tools` instead of `functions`.",
    "function_call": "Use `tool_choice` instead of `function_call`.",
    "audio": "Audio is not supported.",
    "logprobs": "Log probabilities are not supported.",
    "top_logprobs": "Log probabilities are not supported.",
}
TOKENS = ("max_tokens", "max_completion_tokens")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that can be accepted. ``given`` goes to the provider as it is."""

    model: str
    stream: bool
    include_usage: bool
    said: tuple[Said, ...] = field(repr=False)
    given: dict[str, Any] = field(repr=False)

    @property
    def transport(self) -> Transport:
        return Transport.API if self.stream else Transport.API_WHOLE

    @property
    def characters(self) -> int:
        return sum(len(one.text) for one in self.said)


def read(raw: bytes, names: list[str], default: str) -> Asked:
    """What this body asks for. ``names`` are the models that there are; empty while unknown.

    Raises:
        ApiError: naming the parameter that is at fault.
    """
    body = _object(raw)
    for name, text in REFUSED.items():
        if body.get(name):
            raise invalid(text, name, "unsupported_parameter")
    model = _model(body, names, default)
    _check_modalities(body.get("modalities"))
    if body.get("n") not in (None, 1):
        raise invalid("Only one choice is written: n must be 1.", "n", "unsupported_value")
    stream = _flag(body, "stream")
    options = body.get("stream_options")
    if options is not None and not stream:
        raise invalid("stream_options goes with stream.", "stream_options")
    if options is not None and not isinstance(options, dict):
        raise invalid("stream_options must be an object.", "stream_options")
    for name in TOKENS:
        _check_tokens(body.get(name), name)
    if not isinstance(body.get("tools"), list | None):
        raise invalid("tools must be a list.", "tools")
    return Asked(
        model=model,
        stream=stream,
        include_usage=_flag(options or {}, "include_usage", "stream_options."),
        said=_said(body),
        given={name: value for name, value in body.items() if name not in OURS},
    )


def _object(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise invalid("The body is not valid JSON.", code="invalid_json") from None
    if not isinstance(body, dict):
        raise invalid("The body must be a JSON object.", code="invalid_json")
    for name, value in body.items():
        if not _storable(name) or not _storable(value):
            text = f"`{name[:40]!a}` has a number, a character or a depth that cannot be stored."
            raise invalid(text, name[:40] if _storable(name) else None)
    return body


def _storable(value: Any, depth: int = 0) -> bool:
    """Does every database take it? No NUL, no half of a surrogate pair, no infinity."""
    match value:
        case str():
            return "\0" not in value and not any("\ud800" <= c <= "\udfff" for c in value)
        case float():
            return math.isfinite(value)
        case dict():
            pairs = value.items()
            return depth < DEPTH_MAX and all(
                _storable(k) and _storable(v, depth + 1) for k, v in pairs
            )
        case list():
            return depth < DEPTH_MAX and all(_storable(item, depth + 1) for item in value)
    return True


def _model(body: dict[str, Any], names: list[str], default: str) -> str:
    model = body.get("model")
    if model is None or model == "":
        return default
    if not isinstance(model, str):
        raise invalid("model must be a string.", "model")
    if len(model) > MODEL_CHARS or (names and model not in names):
        raise unknown_model(model)
    return model


def _said(body: dict[str, Any]) -> tuple[Said, ...]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise invalid("messages must be a list with at least one message.", "messages")
    if len(messages) > MESSAGES_MAX:
        raise invalid(f"At most {MESSAGES_MAX} messages are taken.", "messages")
    found = tuple(said(one, f"messages[{number}]") for number, one in enumerate(messages))
    limit = settings.CONTEXT_MAX_CHARS
    characters = sum(len(one.text) for one in found)
    if characters > limit:
        raise invalid(
            f"The messages have {characters:,} characters; at most {limit:,} are taken.",
            "messages",
            "context_length_exceeded",
        )
    return found


def _check_modalities(given: Any) -> None:
    if given not in (None, ["text"]):
        raise invalid("Only text is supported.", "modalities", "unsupported_value")


def _check_tokens(given: Any, name: str) -> None:
    if given is None:
        return
    limit = settings.REPLY_MAX_TOKENS
    if not isinstance(given, int) or isinstance(given, bool) or not 1 <= given <= limit:
        raise invalid(f"{name} must be a whole number from 1 to {limit:,}.", name)


def _flag(body: dict[str, Any], name: str, at: str = "") -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise invalid(f"{at}{name} must be true or false.", at + name)
    return bool(value)


def is_too_large(size: int) -> bool:
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    return limit is not None and size > limit


def too_large() -> ApiError:
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    text = f"The body is too large: at most {limit:,} bytes are taken."
    return ApiError(413, text, code="request_too_large")
