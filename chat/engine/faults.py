"""What a provider says when it declines → our tree of errors.

Every provider has a shape of its own for it: OpenAI's ``{"error": {…}}``, vLLM's
``{"object": "error", …}``, FastAPI's ``{"detail": …}``, Google's list around it, a bare string, a
page of HTML. Here they become one.
"""

import json
import re
import time
from collections.abc import Collection, Mapping
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
OPTIONAL = ("stream_options", "max_tokens", "max_completion_tokens", "temperature", "top_p")
NOT_TAKEN = re.compile(
    r"(?i)unsupported|not\W+support|unknown|unrecogni[sz]ed|unexpected|deprecated"
    r"|not (?:permitted|allowed|available)|extra_forbidden|additional propert|cannot find field"
    r"|cannot both be|only the default"
)


def reported_error(body: Any) -> ProviderError | None:
    """The error that a body or an event reports, None when it reports none."""
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return None
    error = body.get("error")
    if not error and ("choices" not in body and body.get("object", "error") == "error"):
        error = body.get("message") or body.get("detail") or body.get("errors")
    if not error:
        return None
    inner = error if isinstance(error, dict) else body
    code = inner.get("code") or inner.get("status") or inner.get("type") or body.get("code")
    return error_for(code, complaint(body))


def error_for(code: Any, detail: str) -> ProviderError:
    """The error class that a code stands for: an HTTP status, or a provider's word."""
    word = str(code or "").lower()
    if word in {"401", "403"} or re.search(r"auth|api_?key|permission", word):
        return NotAuthorised(detail)
    if word == "429" or re.search(r"rate.?limit|quota|too.?many|throttl", word):
        return RateLimited(detail)
    if re.search(
        r"^(5\d\d|40[89])$|overload|server|unavailable|internal|capacity|^api_error$", word
    ):
        return Unavailable(detail)
    if re.search(r"^4\d\d$|invalid|bad_?request|not_?found|unprocessable", word):
        return Refused(detail)
    return ProviderError(detail)


def error_of_status(
    status: int, body: Any, headers: Mapping[str, str], sent: Collection[str] = ()
) -> ProviderError:
    """The error of an answer with a status of 400 or more to a request of these parameters."""
    detail = f"HTTP {status}: {complaint(body)}"
    if status in {400, 422} and (parameter := _not_taken(body, sent)) is not None:
        return UnknownParameter(parameter, detail)
    error = error_for(status, detail)
    error.retry_after_s = retry_after_s(headers)
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
        for name in ("error", "message", "detail", "errors"):
            if body.get(name) and body[name] is not True:
                return complaint(body[name])
    return json.dumps(body, default=str)


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


def _not_taken(body: Any, sent: Collection[str]) -> str | None:
    """The optional parameter, of those sent, that the endpoint says it does not take."""
    inner = body.get("error", body) if isinstance(body, dict) else body
    named = inner.get("param") if isinstance(inner, dict) else None
    text = complaint(body)
    if named == "stream_options":
        return named if named in sent else None  # there is only one value that we send for it
    if not NOT_TAKEN.search(text):
        return None
    if named:
        return named if named in OPTIONAL and named in sent else None
    mentions = {
        found.start(): parameter
        for parameter in OPTIONAL
        if parameter in sent and (found := re.search(rf"\b{parameter}\b", text))
    }
    return mentions[min(mentions)] if mentions else None
