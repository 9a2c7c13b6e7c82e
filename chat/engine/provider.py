"""The provider: an OpenAI-compatible endpoint. The only module that imports ``openai``.

The SDK keeps what it is good at: client, authentication, connections, SSE decoding, error classes.
Its typed chunk objects are left out: they cost five times the rest, and they trust what a stranger
sent. Retries are the turn's, which counts them and shows them.
"""

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import openai
from openai import AsyncOpenAI, AsyncStream, DefaultAioHttpClient

from chat.engine.chunks import deltas_of, reported_error
from chat.engine.errors import (
    Garbled,
    NotAuthorised,
    ProviderError,
    RateLimited,
    Refused,
    Unavailable,
    UnknownParameter,
    Unreachable,
    blank_secrets,
)
from chat.engine.events import Delta

CONNECT_S = 10.0
COMPLETE_S = 30.0  # titles and moderation: small answers, nobody waits for them on the page
BODY_BYTES = 4_000_000  # of an answer that is not a stream
OPTIONAL = ("stream_options", "max_tokens", "max_completion_tokens", "temperature", "top_p")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a provider is, and the key for it. May change: the local model restarts elsewhere."""

    base_url: str
    api_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Request:
    """One chat completion. ``messages`` are in the API's own form; ``None`` leaves the default."""

    model: str
    messages: tuple[dict[str, Any], ...]
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None


@dataclass(slots=True)
class Dialect:
    """What an endpoint turned out not to take, learnt from its refusals."""

    without: set[str] = field(default_factory=set)

    def body(self, request: Request, *, stream: bool) -> dict[str, Any]:
        body: dict[str, Any] = {"messages": list(request.messages)}
        if request.model:
            body["model"] = request.model
        if stream:
            body["stream"] = True
            body["stream_options"] = {"include_usage": True}
        body["temperature"] = request.temperature
        body["top_p"] = request.top_p
        limit = "max_completion_tokens" if "max_tokens" in self.without else "max_tokens"
        body[limit] = request.max_tokens
        return {
            name: value
            for name, value in body.items()
            if value is not None and name not in self.without
        }

    def learn(self, parameter: str) -> None:
        self.without.add(parameter)


class Provider:
    """A client of one endpoint, for one event loop. ``endpoint`` is asked at every call."""

    def __init__(self, endpoint: Callable[[], Endpoint]) -> None:
        self._endpoint = endpoint
        self._http = DefaultAioHttpClient(timeout=openai.Timeout(None, connect=CONNECT_S))
        self._dialects: dict[tuple[str, str], Dialect] = {}

    async def close(self) -> None:
        await self._http.aclose()

    def dialect(self, model: str) -> Dialect:
        return self._dialects.setdefault((self._endpoint().base_url, model), Dialect())

    @contextlib.asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[AsyncIterator[list[Delta]]]:
        """Stream a completion: the deltas of each chunk, as they arrive.

        Cancel by cancelling the task inside the context: the connection is closed on the way out.

        Raises:
            ProviderError: at the start or from the iterator.
        """
        endpoint = self._endpoint()
        client = self._client(endpoint)
        with self._translated(endpoint):
            body = self.dialect(request.model).body(request, stream=True)
            stream = await client.post(
                "/chat/completions",
                body=body,
                cast_to=object,
                stream=True,
                stream_cls=AsyncStream[object],
            )
            async with stream:
                if "event-stream" in stream.response.headers.get("content-type", ""):
                    yield self._deltas(stream)
                else:
                    yield self._whole(stream)

    async def complete(self, request: Request) -> str:
        """A completion in one piece: its text.

        Raises:
            ProviderError: also when it is no completion.
        """
        endpoint = self._endpoint()
        client = self._client(endpoint).with_options(timeout=COMPLETE_S)
        with self._translated(endpoint):
            body = self.dialect(request.model).body(request, stream=False)
            answer = await client.post("/chat/completions", body=body, cast_to=object)
            return _text_of(answer)

    async def models(self) -> list[str]:
        """The names of the models that the endpoint lists."""
        endpoint = self._endpoint()
        client = self._client(endpoint).with_options(timeout=CONNECT_S)
        with self._translated(endpoint):
            answer: Any = await client.get("/models", cast_to=object)
        data = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(data, list):
            raise Garbled("the list of models is no list")
        names = [entry.get("id") for entry in data if isinstance(entry, dict)]
        return [name for name in names if isinstance(name, str) and name]

    async def moderations(self, text: str, model: str) -> dict[str, Any]:
        """The endpoint's moderation of a text: the first of its results, with ``model`` added."""
        endpoint = self._endpoint()
        client = self._client(endpoint).with_options(timeout=COMPLETE_S)
        with self._translated(endpoint):
            body = {"input": text, "model": model}
            answer: Any = await client.post("/moderations", body=body, cast_to=object)
        results = answer.get("results") if isinstance(answer, dict) else None
        if not isinstance(results, list) or not results or not isinstance(results[0], dict):
            raise Garbled("a moderation without a result")
        return {**results[0], "model": str(answer.get("model") or model)}

    def _client(self, endpoint: Endpoint) -> AsyncOpenAI:
        return AsyncOpenAI(
            base_url=endpoint.base_url,
            api_key=endpoint.api_key or "none",
            http_client=self._http,
            max_retries=0,
            timeout=openai.Timeout(None, connect=CONNECT_S),
        )

    async def _deltas(self, stream: AsyncStream[object]) -> AsyncIterator[list[Delta]]:
        async for chunk in stream:
            if deltas := deltas_of(chunk):
                yield deltas

    async def _whole(self, stream: AsyncStream[object]) -> AsyncIterator[list[Delta]]:
        """The answer of an endpoint that did not stream: a whole completion, or an error."""
        pieces, size = [], 0
        async for piece in stream.response.aiter_bytes():
            pieces.append(piece)
            size += len(piece)
            if size > BODY_BYTES:
                raise Garbled("an answer that is no stream and does not end")
        kind = stream.response.headers.get("content-type", "no content type")
        try:
            answer = json.loads(b"".join(pieces))
        except ValueError:
            raise Garbled(f"an answer that is no stream: {kind}") from None
        if deltas := deltas_of(answer):
            yield deltas

    @contextlib.contextmanager
    def _translated(self, endpoint: Endpoint) -> Any:
        """Turn whatever the SDK and the transport raise into our tree."""
        secrets = (endpoint.api_key,)
        try:
            yield
        except ProviderError as error:
            error.detail = blank_secrets(error.detail, *secrets)
            raise
        except openai.APIStatusError as error:
            raise _status_error(error, secrets) from None
        except openai.APIConnectionError as error:
            raise Unreachable(str(error.__cause__ or error), secrets=secrets) from None
        except openai.APIError as error:
            # An error event within the stream: the SDK gives its body without the envelope.
            body = error.body if error.body is not None else error.message
            raise (
                reported_error({"error": body}) or ProviderError(error.message, secrets=secrets)
            ) from None
        except (openai.OpenAIError, ValueError) as error:
            # Bad JSON and bad UTF-8 leave the SDK as bare ValueErrors.
            raise Garbled(f"{type(error).__name__}: {error}", secrets=secrets) from None
        except OSError as error:
            raise Unreachable(str(error), secrets=secrets) from None


def _status_error(error: openai.APIStatusError, secrets: tuple[str, ...]) -> ProviderError:
    detail = f"HTTP {error.status_code}: {error.message}"
    match error.status_code:
        case 401 | 403:
            return NotAuthorised(detail, secrets=secrets)
        case 429:
            return RateLimited(detail, _retry_after(error), secrets=secrets)
        case status if status >= 500 or status in {408, 409}:
            return Unavailable(detail, secrets=secrets)
    named = getattr(error, "param", None)
    text = f"{named or ''} {error.message} {json.dumps(error.body, default=str)}"
    for parameter in OPTIONAL:
        if parameter == named or (named is None and f"{parameter}" in text):
            return UnknownParameter(parameter, detail, secrets=secrets)
    return Refused(detail, secrets=secrets)


def _retry_after(error: openai.APIStatusError) -> float | None:
    try:
        return max(0.0, float(error.response.headers.get("retry-after", "")))
    except ValueError:
        return None


def _text_of(answer: Any) -> str:
    if (error := reported_error(answer)) is not None:
        raise error
    deltas = deltas_of(answer)
    return "".join(delta.text for delta in deltas if hasattr(delta, "text"))
