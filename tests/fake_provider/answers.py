"""The answers that do not stream: errors, titles, models, moderations."""

from collections.abc import Mapping, Sequence
from typing import Any

from .encode import COMPLETION_ID, CREATED

CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/intent",
    "self-harm/instructions",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
MODERATION_MODEL = "omni-moderation-latest"

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    403: "permission_error",
    404: "invalid_request_error",
    429: "rate_limit_error",
}


def error_body(
    code: int, message: str = "", *, param: str | None = None, name: str | None = None
) -> dict[str, Any]:
    """An error object as OpenAI sends it with the HTTP status ``code``."""
    return {
        "error": {
            "message": message or f"The fake provider answers {code}.",
            "type": ERROR_TYPES.get(code, "server_error"),
            "param": param,
            "code": name,
        }
    }


def stream_options_refused() -> dict[str, Any]:
    return error_body(
        400, "Unrecognized request argument supplied: stream_options", param="stream_options"
    )


def completion(text: str, model: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text, "refusal": None}
    return {
        "id": COMPLETION_ID,
        "object": "chat.completion",
        "created": CREATED,
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14},
    }


def models(names: Sequence[str]) -> dict[str, Any]:
    data = [
        {"id": name, "object": "model", "created": CREATED, "owned_by": "fake"} for name in names
    ]
    return {"object": "list", "data": data}


def moderation(given: Any, flag_words: Mapping[str, str]) -> dict[str, Any]:
    """One result per text; a list of content parts is one input, as at OpenAI."""
    if isinstance(given, list) and given and isinstance(given[0], dict):
        given = " ".join(part.get("text", "") for part in given)
    texts = given if isinstance(given, list) else [given]
    results = [_result(str(text), flag_words) for text in texts]
    return {"id": "modr-fake", "model": MODERATION_MODEL, "results": results}


def _result(text: str, flag_words: Mapping[str, str]) -> dict[str, Any]:
    lowered = text.lower()
    hit = {category for word, category in flag_words.items() if word.lower() in lowered}
    return {
        "flagged": bool(hit),
        "categories": {name: name in hit for name in CATEGORIES},
        "category_scores": {name: 0.97 if name in hit else 0.0001 for name in CATEGORIES},
        "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
    }
