"""What can go wrong between Parley and a provider.

    ProviderError            kind, retryable, detail (for the operator), never shown as it is
    ├── Refused              the provider declines the request as it stands (400, 404, 422)
    │   └── UnknownParameter  … because of one optional parameter, which can be left out
    ├── NotAuthorised        401, 403
    ├── RateLimited          429; ``retry_after_s`` if it said so
    ├── Unavailable          5xx, or an error event of that kind
    ├── Unreachable          no connection, or one that broke
    ├── Garbled              an answer that is no answer: HTML, bad JSON, bad UTF-8
    ├── TimedOut             no first token, or no byte, within the deadline
    └── Empty                the stream ended without a word or without a finish reason

``retryable`` errors may be tried again while no token has arrived. The detail goes to the log and
the operator's pages, with secrets blanked; the user reads a neutral sentence made from the kind.
"""

import re

# Bearer tokens and keys as providers echo them in error messages.
SECRET = re.compile(r"(?i)(bearer\s+|api[-_ ]?key[=: ]+)\S+|\b(sk|pk|rk|gsk|xai|key)-[\w*.-]{4,}")
DETAIL_CHARS = 2_000


class ProviderError(Exception):
    """An error of the provider or of the way to it."""

    kind = "provider"
    retryable = False

    def __init__(self, detail: str = "", *, secrets: tuple[str, ...] = ()) -> None:
        self.detail = blank_secrets(detail, *secrets)[:DETAIL_CHARS]
        super().__init__(self.detail or self.kind)


class Refused(ProviderError):
    kind = "refused"


class UnknownParameter(Refused):
    """The endpoint does not take ``parameter``; the same request without it may pass."""

    kind = "refused"

    def __init__(self, parameter: str, detail: str = "", *, secrets: tuple[str, ...] = ()) -> None:
        super().__init__(detail, secrets=secrets)
        self.parameter = parameter


class NotAuthorised(ProviderError):
    kind = "not_authorised"


class RateLimited(ProviderError):
    kind = "rate_limited"
    retryable = True

    def __init__(
        self, detail: str = "", retry_after_s: float | None = None, *, secrets: tuple[str, ...] = ()
    ) -> None:
        super().__init__(detail, secrets=secrets)
        self.retry_after_s = retry_after_s


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
    """The text without the given secrets and without what looks like a key."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[secret]")
    return SECRET.sub(lambda m: f"{m.group(1) or ''}[secret]", text)
