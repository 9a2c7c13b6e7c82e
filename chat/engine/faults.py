"""What a provider says when it declines → our tree of errors.

Every provider has a shape of its own for it: OpenAI's ``{"error": {…}}``, vLLM's
``{"object": "error", …}``, FastAPI's ``{"detail": …}``, Google's list around it, a bare string, a
page of HTML. Here they become one.
"""

import json
import re
import time
from collections.abc import Collection, Iterable, Mapping
from email.utils import mktime_tz, parsedate_tz
from typing import Any

from chat.engine.errors import (
    NotAuthorised,
    ProviderError,
    RateLimited,
    Refused,
    Unavailable,
    UnknownParameter,
)

# Parameters that a request can do without, and the words of endpoints that do not take one. The
# words matter: "max_tokens is too large" is about the value, and leaving it out would be no help.
OPTIONAL = (
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "tool_choice",
    "tools",
)
NOT_TAKEN = re.compile(
    r"(?i)unsupported|(?:not|n't)\W+(?:support|accept|recogni[sz]ed)|unknown|unrecogni[sz]ed"
    r"|unexpected|deprecated|not (?:permitted|allowed|available)|extra_forbidden"
    r"|additional propert|cannot find field|cannot both be|only the default"
    r"|only \S+ is (?:allowed|supported)|may only be set|\bunset\b"
)
# One parameter, as it is sent or in the spelling of the languages that some endpoints are made in.
SPELT = {
    name: re.compile(rf"\b(?:{name}|{re.sub('_(.)', lambda found: found[1].upper(), name)})\b")
    for name in OPTIONAL
}
# Whatever is wrong with the form that was asked for, there is another way to ask for it.
FORM = re.compile(r"(?i)response.?format|json.?schema|json.?object|structured.?output")

# Where the words of a complaint stand, and where a code, in the order of their worth.
WORDS = ("message", "detail", "errors", "msg", "status_msg", "error_msg", "error_message")
CODES = ("code", "status", "type", "status_code", "http_status_code", "error_type", "error_code")
FINE = (0, "0", 200, "200")  # codes that some send with every answer

# The first that fits counts: an "invalid_api_key" is about the key.
KINDS: tuple[tuple[type[ProviderError], re.Pattern[str]], ...] = (
    (NotAuthorised, re.compile(r"^40[13]$|auth|api_?key|permission|forbidden")),
    (RateLimited, re.compile(r"^429$|rate.?limit|quota|too.?many|throttl|exhausted")),
    (
        Unavailable,
        re.compile(
            r"^(5\d\d|40[89]|498)$|overload|server|unavailable|internal|capacity|time.?out"
            r"|connection|upstream|^api_error$"
        ),
    ),
    (Refused, re.compile(r"^4\d\d$|invalid|bad_?request|not_?found|unprocessable|validation")),
)


def reported_error(body: Any) -> ProviderError | None:
    """The error that a body or an event reports, None when it reports none."""
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return None
    error = _named(body) or _unnamed(body)
    if error is None:
        return None
    inner = error[0] if isinstance(error, list) else error
    places = [inner, body] if isinstance(inner, dict) else [body]
    codes = [place.get(name) for place in places for name in CODES]
    made = _kind(codes)(complaint(body if error is True else error))
    made.retry_after_s = _asked_delay_s(body)
    return made


def _named(body: dict[str, Any]) -> Any:
    """What stands where an error has a name of its own; None if there is nothing in it."""
    groq, minimax = body.get("x_groq"), body.get("base_resp")
    for error in (
        body.get("error"),
        groq.get("error") if isinstance(groq, dict) else None,
        minimax if isinstance(minimax, dict) and minimax.get("status_code") else None,
    ):
        # Some gateways send an error object with nothing in it beside every chunk.
        if any(error.values()) if isinstance(error, dict) else error:
            return error
    return None


def _unnamed(body: dict[str, Any]) -> Any:
    """The words of a body that is an error as a whole."""
    code = body.get("code")
    if body.get("choices") or code in FINE:
        return None
    is_error = "error" in (body.get("object"), body.get("type")) or body.get("success") is False
    if is_error or code or not body.keys() & {"object", "choices"}:
        return next((body[name] for name in WORDS if body.get(name)), None)
    return None


def error_for(code: Any, detail: str) -> ProviderError:
    """The error that a code stands for: an HTTP status, or a provider's word."""
    return _kind([code])(detail)


def _kind(codes: Iterable[Any]) -> type[ProviderError]:
    """The class of the first code that means something."""
    for code in codes:
        word = str(code)[:100].lower()
        for kind, pattern in KINDS:
            if code and pattern.search(word):
                return kind
    return ProviderError


def error_of_status(
    status: int, body: Any, headers: Mapping[str, str], sent: Collection[str] = ()
) -> ProviderError:
    """The error of an answer with a status of 400 or more to a request of these parameters."""
    detail = f"HTTP {status}: {complaint(body)}"
    if status in {400, 422} and (parameter := _not_taken(body, sent)) is not None:
        return UnknownParameter(parameter, detail)
    error = error_for(status, detail)
    error.status = status
    asked_s = retry_after_s(headers)
    error.retry_after_s = _asked_delay_s(body) if asked_s is None else asked_s
    return error


def complaint(body: Any) -> str:
    """What a body complains of, in words; without the request that some endpoints echo in it."""
    if isinstance(body, str):
        return " ".join(body.split())
    if isinstance(body, list):
        return "; ".join(complaint(part) for part in body)
    if isinstance(body, dict):
        if isinstance(where := body.get("loc"), list | tuple):  # an entry of pydantic's
            return f"{'.'.join(map(str, where))}: {body.get('msg')} ({body.get('type')})"
        for name in ("error", *WORDS):
            if body.get(name) and body[name] is not True:
                return complaint(body[name]) + _upstream(body)
    return json.dumps(body, default=str)


def _upstream(error: dict[str, Any]) -> str:
    """What the provider behind a router said, where the router's own words say only that it did."""
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    return f" ({complaint(raw)})" if raw else ""


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that the provider asks to wait: a number, a date, or OpenAI's milliseconds."""
    given = headers.get("retry-after", "")
    for value, unit_s in ((headers.get("retry-after-ms", ""), 0.001), (given, 1.0)):
        try:
            return max(0.0, float(value) * unit_s)
        except ValueError:
            continue
    date = parsedate_tz(given)
    return None if date is None else max(0.0, mktime_tz(date) - time.time())


def _asked_delay_s(body: Any) -> float | None:
    """Seconds that a body asks to wait: Google says it there, and in no header."""
    body = body[0] if isinstance(body, list) and body else body
    error = body.get("error") if isinstance(body, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else []:
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and (found := re.fullmatch(r"(\d+(?:\.\d+)?)s", delay)):
            return float(found[1])
    return None


def _not_taken(body: Any, sent: Collection[str]) -> str | None:
    """The optional parameter, of those sent, that the endpoint says it does not take."""
    inner = body.get("error", body) if isinstance(body, dict) else body
    named = inner.get("param") if isinstance(inner, dict) else None
    text = complaint(body)
    if "response_format" in sent and FORM.search(f"{named} {text}"):
        return "response_format"
    parameter = _first_of(sent, named if isinstance(named, str) and named else text)
    if parameter == "stream_options" and named:
        return parameter  # there is only one value that we send for it
    return parameter if NOT_TAKEN.search(text) else None


def _first_of(sent: Collection[str], text: str) -> str | None:
    """The optional parameter, of those sent, that a text mentions first."""
    mentions = {
        found.start(): parameter
        for parameter, spelt in SPELT.items()
        if parameter in sent and (found := spelt.search(text))
    }
    return mentions[min(mentions)] if mentions else None
