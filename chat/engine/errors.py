"""What can go wrong between Parley and a provider.

    ProviderError            kind, retryable, detail (for the operator), never shown as it is
    ├── Refused              the provider declines the request as it stands (400, 404, 422)
    │   └── UnknownParameter  … because of one optional parameter, which can be left out
    ├── NotAuthorised        401, 403
    ├── RateLimited          429
    ├── Unavailable          5xx, or an error event of that kind
    ├── Unreachable          no connection, or one that broke
    ├── Garbled              an answer that is no answer: HTML, bad JSON
    ├── TimedOut             no first token, or no byte, within the deadline
    └── Empty                the stream ended without a word or without a finish reason

``retryable`` errors may be tried again while no token has arrived, and not before
``retry_after_s`` if the provider said so. The detail goes to the log and the operator's pages, with
secrets blanked; the user reads a neutral sentence made from the kind.
"""

import json
import re
from urllib.parse import quote

from chat.engine.wellformed import well_formed

# Keys as providers echo them in error messages, their middle starred or not: what follows a name
# that says so, in a sentence, a header, JSON or an address; what begins as a known kind of key; and
# what stands before the host of an address.
SECRET = re.compile(
    r"""(?ix)
    ( \bbearer\s+
    | \bauthorization['"]?\s*[=:]\s*['"]?(?:(?:basic|bearer)\s+)?
    | \bapi[-_ ]?key(?:\ provided)?['"]?\s*[=:]\s*
    | [?&](?:key|token)=
    ) [^\s&]+
    | \b(?:sk|pk|rk|gsk|csk|xai|nvapi|pplx)-[\w*.-]{8,}
    | \b(?:gsk|hf|fw|r8|ghp|tgp)_[\w*-]{12,}
    | \bAIza[\w-]{20,}
    | \beyJ[\w-]{5,}\.[\w-]+\.[\w-]*
    | (?<=://)[^\s/@]+(?=@)
    """
)
SECRET_MIN_CHARS = 4  # a shorter key protects nothing, and blanking it would spoil every sentence
DETAIL_CHARS = 2_000
SEARCHED_CHARS = 40_000  # for secrets, which may be longer than the word that stands for them


class ProviderError(Exception):
    """An error of the provider or of the way to it.

    The detail stands in one place only, so that blanking it there blanks ``str`` and ``repr`` too.
    """

    kind = "provider"
    retryable = False
    retry_after_s: float | None = None
    status: int | None = None  # of the answer, where it had one of 400 or more

    def __init__(self, detail: str = "") -> None:
        super().__init__()
        self.detail = blank_secrets(detail[:SEARCHED_CHARS])

    def __str__(self) -> str:
        return self.detail or self.kind

    def blank(self, *secrets: str) -> None:
        """Take the given secrets out of the detail, then cut it to size: never through a secret."""
        self.detail = blank_secrets(self.detail, *secrets)[:DETAIL_CHARS]


class Refused(ProviderError):
    kind = "refused"


class UnknownParameter(Refused):
    """The endpoint does not take ``parameter``; the same request without it may pass."""

    def __init__(self, parameter: str, detail: str = "") -> None:
        super().__init__(detail)
        self.parameter = parameter


class NotAuthorised(ProviderError):
    kind = "not_authorised"


class RateLimited(ProviderError):
    kind = "rate_limited"
    retryable = True


class Unavailable(ProviderError):
    kind = "unavailable"
    retryable = True


class Unreachable(ProviderError):
    kind = "unreachable"
    retryable = True


class Garbled(ProviderError):
    kind = "garbled"


class TimedOut(ProviderError):
    kind = "timed_out"


class Empty(ProviderError):
    kind = "empty"


def blank_secrets(text: str, *secrets: str) -> str:
    """The text, well formed, without the given secrets and without what looks like a key."""
    for secret in secrets:
        if len(secret) >= SECRET_MIN_CHARS:
            for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1]):
                text = text.replace(form, "[secret]")
    return SECRET.sub(lambda found: f"{found[1] or ''}[secret]", well_formed(text))
