"""The endpoints. Everything they say is JSON, also when they fail.

The views run in a thread and only look: who asks, and what for. What waits is the response's own
(``completion``), on the event loop.
"""

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

import structlog
from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from chat import services
from chat.api import errors, keys, requests
from chat.api.completion import CompletionResponse
from chat.api.errors import ApiError
from chat.models import ApiKey, Scope

logger = structlog.get_logger()

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, ApiKey, P], HttpResponseBase]
Outer = Callable[Concatenate[HttpRequest, P], HttpResponseBase]
LISTED_SINCE = 0  # "created" of a model: nobody here knows


def endpoint(method: str, scope: Scope) -> Callable[[View[P]], Outer[P]]:
    """A view that takes one method and a key with this scope, and answers errors as JSON."""

    def decorate(view: View[P]) -> Outer[P]:
        @csrf_exempt  # no cookie is looked at
        @wraps(view)
        def outer(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if request.method != method:
                return _not_allowed(method)
            try:
                key = keys.of_header(request.headers.get("Authorization", ""), scope)
                return view(request, key, *args, **kwargs)
            except Exception as error:
                return _failed(error)

        return outer

    return decorate


@endpoint("POST", Scope.CHAT)
def chat_completions(request: HttpRequest, key: ApiKey) -> HttpResponseBase:
    asked = requests.read(_body(request), services.model_names(), services.default_model())
    identity = getattr(request, "request_id", "")
    return CompletionResponse(key, asked, uuid.uuid4(), identity)


@endpoint("GET", Scope.MODELS)
def models(request: HttpRequest, key: ApiKey) -> HttpResponseBase:
    data = [_model(name) for name in services.model_names()]
    return _json({"object": "list", "data": data})


@endpoint("GET", Scope.MODELS)
def model(request: HttpRequest, key: ApiKey, name: str) -> HttpResponseBase:
    if name not in services.model_names():
        raise errors.unknown_model(name)
    return _json(_model(name))


@csrf_exempt
def nothing(request: HttpRequest) -> HttpResponseBase:
    """Whatever else begins with /v1."""
    text = f"There is no {request.method} {request.path} here."
    return _error(ApiError(404, text, code="unknown_url"))


def _body(request: HttpRequest) -> bytes:
    try:
        body = request.body
    except RequestDataTooBig:
        raise requests.too_large() from None
    # Django goes by the length that was announced; one that was not is counted here.
    if requests.is_too_large(len(body)):
        raise requests.too_large()
    return body


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": LISTED_SINCE, "owned_by": "parley"}


def _failed(error: Exception) -> JsonResponse:
    match error:
        case ApiError():
            return _error(error)
        case OperationalError() | InterfaceError():
            return _error(errors.database_away())
    logger.error("api_request_failed", exc_info=error)
    return _error(errors.internal())


def _error(error: ApiError) -> JsonResponse:
    return JsonResponse(error.body(), status=error.status, headers=error.headers())


def _json(value: dict[str, Any]) -> JsonResponse:
    return JsonResponse(value, headers={"Cache-Control": "no-store"})


def _not_allowed(method: str) -> JsonResponse:
    answer = _error(ApiError(405, f"Use {method} here.", code="method_not_allowed"))
    answer["Allow"] = method
    return answer
