"""One decoded chunk of a chat completion stream → typed deltas.

Everything in a chunk is what a stranger sent: a field may be missing, null, of another type, or
out of place. What can be understood is taken, the rest is passed over; an error that the provider
reports in any form is raised. Quirks met in the wild are recorded in ``tests/streams``.
"""

from collections.abc import Iterator
from typing import Any

from chat.engine.errors import Garbled, NotAuthorised, ProviderError, RateLimited, Unavailable
from chat.engine.events import (
    Delta,
    FinishDelta,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    UsageDelta,
)


def deltas_of(chunk: Any) -> list[Delta]:
    """The deltas of a chunk, in order.

    Raises:
        ProviderError: the chunk reports an error.
    """
    if not isinstance(chunk, dict):
        raise Garbled(f"a chunk that is no object: {type(chunk).__name__}")
    choices = chunk.get("choices")
    if not choices and (error := reported_error(chunk)) is not None:
        raise error
    deltas: list[Delta] = []
    # Parley asks for one choice; a provider that sends more must not have them mixed.
    first = choices[0] if isinstance(choices, list) and choices else None
    if isinstance(first, dict):
        content = first.get("delta")
        if not isinstance(content, dict):
            content = first.get("message")
        if isinstance(content, dict):
            deltas.extend(_content(content))
        elif isinstance(first.get("text"), str) and first["text"]:
            deltas.append(TextDelta(_clean(first["text"])))
        reason = first.get("finish_reason")
        if isinstance(reason, str) and reason:
            deltas.append(FinishDelta(reason))
    usage = chunk.get("usage")
    if isinstance(usage, dict) and (counted := _usage(usage)) is not None:
        deltas.append(counted)
    return deltas


def _clean(text: str) -> str:
    """Text that every database and socket takes: no NUL, no half of a surrogate pair."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _content(delta: dict[str, Any]) -> Iterator[Delta]:
    reasoning = delta.get("reasoning_content")
    if not isinstance(reasoning, str):
        reasoning = delta.get("reasoning")
    if isinstance(reasoning, str) and reasoning:
        yield ReasoningDelta(_clean(reasoning))
    content = delta.get("content")
    if isinstance(content, str):
        if content:
            yield TextDelta(_clean(content))
    elif isinstance(content, list):
        for part in content:
            yield from _part(part)
    elif isinstance(content, int | float) and not isinstance(content, bool):
        yield TextDelta(str(content))
    refusal = delta.get("refusal")
    if isinstance(refusal, str) and refusal:
        yield RefusalDelta(_clean(refusal))
    calls = delta.get("tool_calls")
    if isinstance(calls, list):
        for call in calls:
            if isinstance(call, dict):
                yield _tool_call(call)


def _part(part: Any) -> Iterator[Delta]:
    if isinstance(part, str) and part:
        yield TextDelta(_clean(part))
    elif isinstance(part, dict):
        inner = part.get("text")
        if part.get("type") in {"thinking", "reasoning"}:
            thought = part.get("thinking", inner)
            if isinstance(thought, list):
                thought = "".join(
                    piece["text"]
                    for piece in thought
                    if isinstance(piece, dict) and isinstance(piece.get("text"), str)
                )
            if isinstance(thought, str) and thought:
                yield ReasoningDelta(_clean(thought))
        elif isinstance(inner, str) and inner:
            yield TextDelta(_clean(inner))


def _tool_call(call: dict[str, Any]) -> ToolCallDelta:
    function = call.get("function")
    function = function if isinstance(function, dict) else {}
    index, identity, name = call.get("index"), call.get("id"), function.get("name")
    arguments = function.get("arguments")
    return ToolCallDelta(
        index=index if isinstance(index, int) else None,
        id=identity if isinstance(identity, str) and identity else None,
        name=name if isinstance(name, str) and name else None,
        arguments=arguments if isinstance(arguments, str) else "",
    )


def _usage(usage: dict[str, Any]) -> UsageDelta | None:
    details = usage.get("completion_tokens_details")
    counts = (
        _count(usage.get("prompt_tokens")),
        _count(usage.get("completion_tokens")),
        _count(details.get("reasoning_tokens")) if isinstance(details, dict) else None,
    )
    return UsageDelta(*counts) if any(count is not None for count in counts) else None


def _count(value: Any) -> int | None:
    usable = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31
    return value if usable else None


def reported_error(body: Any) -> ProviderError | None:
    """The error that a body or an event reports, in the shapes that providers use for it."""
    if not isinstance(body, dict):
        return None
    error = body.get("error")
    if error is None and "choices" not in body and "object" not in body:
        error = body.get("message") or body.get("detail") or body.get("errors")
    if not error:
        return None
    code: Any = body.get("code") or body.get("status")
    if isinstance(error, dict):
        code = error.get("code") or error.get("status") or error.get("type") or code
        error = error.get("message") or error.get("detail") or error
    return error_for(code, str(error))


def error_for(code: Any, detail: str) -> ProviderError:
    """The error class that a provider's code stands for."""
    word = str(code or "").lower()
    if word in {"401", "403"} or "auth" in word or "api_key" in word or "permission" in word:
        return NotAuthorised(detail)
    if word == "429" or "rate_limit" in word or "quota" in word:
        return RateLimited(detail)
    if (word.isdigit() and word.startswith("5")) or "overload" in word or "server" in word:
        return Unavailable(detail)
    return ProviderError(detail)
