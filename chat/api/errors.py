"""What is answered instead of a completion: OpenAI's error object and an HTTP status.

Messages are English whatever the language of the caller: they end in the logs of programs, and are
looked up there. None quotes a key or what a provider said.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

INVALID = "invalid_request_error"
SERVER = "server_error"
RETRY_AFTER_S = 2  # a reply of the caller's own has ended by then, or another process is there


@dataclass(slots=True)
class ApiError(Exception):
    """``retry`` is False where the same request again would undo what somebody decided."""

    status: int
    message: str
    type: str = INVALID
    param: str | None = None
    code: str | None = None
    retry_after_s: int | None = None
    retry: bool = True

    def __str__(self) -> str:
        return self.message

    def body(self) -> dict[str, Any]:
        error = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return {"error": error}

    def headers(self) -> dict[str, str]:
        headers = {"Cache-Control": "no-store"}
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(self.retry_after_s)
        if not self.retry:
            headers["x-should-retry"] = "false"  # what OpenAI's clients go by
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"
        return headers


def invalid(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """400: the request cannot be served as it stands."""
    return ApiError(400, message, param=param, code=code)


def unknown_model(name: str) -> ApiError:
    text = f"The model `{name[:200]}` does not exist here, or you do not have access to it."
    return ApiError(404, text, param="model", code="model_not_found")


def draining() -> ApiError:
    text = "The server is being restarted. Try again in a moment."
    return ApiError(503, text, SERVER, code="restarting", retry_after_s=RETRY_AFTER_S)


def too_many(limit: int) -> ApiError:
    text = f"You already have {limit} replies being written. Wait for one to end, or stop one."
    return ApiError(
        429, text, "rate_limit_error", code="rate_limit_exceeded", retry_after_s=RETRY_AFTER_S
    )


def internal() -> ApiError:
    return ApiError(500, "The server failed to answer this request.", SERVER, code="internal")


def database_away() -> ApiError:
    text = "The server cannot reach its database at present. Try again in a moment."
    return ApiError(503, text, SERVER, code="unavailable", retry_after_s=5)


def refused() -> ApiError:
    text = "The model service did not accept this request."
    return ApiError(400, text, code="refused")


# By the kind of the provider's error (chat.engine.errors); any other is 502.
_FAILED: dict[str, tuple[int, str, str]] = {
    "rate_limited": (429, "rate_limit_error", "The model service is busy."),
    "unavailable": (503, SERVER, "The model service is not available right now."),
    "unreachable": (503, SERVER, "The model service could not be reached."),
    "timed_out": (504, SERVER, "The model service did not answer in time."),
    "not_authorised": (502, SERVER, "The model service did not accept our credentials."),
    "moderated": (400, "invalid_request_error", "Moderation objected to what was asked."),
    "unchecked": (503, SERVER, "What was asked could not be checked by moderation."),
}


def of_reply(state: str, kind: str, reason: str) -> ApiError:
    """Why a reply is not whole: its state, the provider's error if there was one, who ended it."""
    if state == "stopped" and reason == "moderation":
        text = "The reply was stopped by moderation."
        return ApiError(502, text, SERVER, code="content_filter", retry=False)
    if state == "stopped":
        return ApiError(502, "The reply was stopped.", SERVER, code="stopped", retry=False)
    if kind == "refused":
        return refused()
    if kind == "internal" or (state == "interrupted" and not kind):
        if reason == "drained":
            return draining()
        return ApiError(503, "The reply was interrupted.", SERVER, code="interrupted")
    default = (502, SERVER, "The model service gave no usable answer.")
    status, type_, text = _FAILED.get(kind, default)
    wait = RETRY_AFTER_S if status == HTTPStatus.TOO_MANY_REQUESTS else None
    return ApiError(status, text, type_, code=kind or "failed", retry_after_s=wait)
