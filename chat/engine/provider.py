"""The provider: an OpenAI-compatible endpoint. The only module that imports ``openai``.

The SDK keeps what it is good at: client, authentication, connections, error classes. The bodies of
streams are read here: its decoder costs four times as much, its typed chunk objects thirty times,
and they trust what a stranger sent. Retries are the turn's, which counts them and shows them.
"""

import asyncio
import contextlib
import functools
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import httpx2
import openai
from openai import AsyncOpenAI, AsyncStream, DefaultAioHttpClient

from chat.engine import tally
from chat.engine.answer import Answer, decoded
from chat.engine.chunks import Chunks
from chat.engine.errors import (
    Garbled,
    ProviderError,
    TimedOut,
    UnknownParameter,
    Unreachable,
)
from chat.engine.events import Delta, TextDelta, UsageDelta
from chat.engine.faults import error_of_status, reported_error
from chat.engine.request import Dialect, Request
from chat.engine.wellformed import well_formed

CONNECT_S = 8.0  # three calls and the waits between them fit into 30 s
COMPLETE_S = 30.0  # titles and moderation: small answers, nobody waits for them on the page
DRAIN_S = 0.1  # for the end of a body after its [DONE], so that the connection can be used again


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a provider is, and the key for it. May change: the local model restarts elsewhere."""

    base_url: str
    api_key: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = ()  # with every request
    stream_parameters: tuple[tuple[str, Any], ...] = ()  # in the body of a streamed one
    # What a call begins and ends with, where the model has to be led to it: llama.cpp lets one that
    # must call a tool talk first, and a small model talks to its limit.
    call_begins: str = ""
    call_ends: str = ""


class Provider:
    """A client of one endpoint, for one event loop. ``endpoint`` is asked at every call."""

    def __init__(self, endpoint: Callable[[], Endpoint]) -> None:
        self._endpoint = endpoint
        self._http = DefaultAioHttpClient(
            timeout=openai.Timeout(None, connect=CONNECT_S), verify=_certificates()
        )
        self._dialects: dict[tuple[str, str], Dialect] = {}
        self._made: tuple[Endpoint, AsyncOpenAI] | None = None

    async def close(self) -> None:
        await self._http.aclose()

    def dialect(self, model: str) -> Dialect:
        return self._dialects.setdefault((self._endpoint().base_url, model), Dialect())

    @contextlib.asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[AsyncIterator[list[Delta]]]:
        """Stream a completion: the deltas of each read, as they arrive; none for a mere sign of
        life.

        Cancel by cancelling the task inside the context: the connection is closed on the way out.

        Raises:
            ProviderError: at the start or from the iterator.
        """
        endpoint = self._endpoint()
        body = self.dialect(request.model).body(request, stream=True)
        body |= dict(endpoint.stream_parameters)
        if endpoint.call_begins and body.get("tool_choice") == "required":
            body["messages"].append({"role": "assistant", "content": endpoint.call_begins})
            body["stop"] = [endpoint.call_ends]  # one is enough; it would write them without end
        with _translated(endpoint, request.optional or body):
            stream = await self._client(endpoint).post(
                "/chat/completions",
                body=body,
                cast_to=object,
                stream=True,
                stream_cls=AsyncStream[object],
            )
        try:
            async with aclosing(_deltas(stream.response, endpoint)) as deltas:
                yield deltas
        finally:
            await stream.response.aclose()

    async def complete(self, request: Request) -> str:
        """A completion in one piece: its text. Raises as ``completion`` does."""
        return (await self.completion(request))[0]

    async def completion(self, request: Request) -> tuple[str, UsageDelta | None]:
        """A completion in one piece: its text, and its tokens where the provider tells.

        Raises:
            ProviderError: also when it is no completion.
        """
        dialect = self.dialect(request.model)
        while True:
            try:
                answer = await self._post("/chat/completions", dialect.body(request, stream=False))
                break
            except UnknownParameter as error:
                dialect.learn(error.parameter)
        chunks = Chunks()
        with _translated(self._endpoint()):
            deltas = chunks.feed(answer) + chunks.finish()
            usage = [delta for delta in deltas if isinstance(delta, UsageDelta)][-1:]
            for one in usage:  # of an answer that cannot be used, too
                tally.current().add(one)
            if chunks.error is not None:
                raise chunks.error
        text = "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))
        return text, usage[0] if usage else None

    async def models(self) -> list[str]:
        """The names of the models that the endpoint lists.

        Raises:
            ProviderError: also when it is no list.
        """
        endpoint = self._endpoint()
        with _translated(endpoint):
            async with asyncio.timeout(CONNECT_S):
                answer: Any = await self._client(endpoint).get("/models", cast_to=object)
            data = answer.get("data") if isinstance(answer, dict) else None
            if not isinstance(data, list):
                raise reported_error(answer) or Garbled("the list of models is no list")
        names = [entry.get("id") for entry in data if isinstance(entry, dict)]
        return [well_formed(name) for name in names if isinstance(name, str) and name]

    async def moderations(self, text: str, model: str) -> dict[str, Any]:
        """The endpoint's moderation of a text: the first of its results, with ``model`` added.

        Raises:
            ProviderError: also when there is no result.
        """
        answer = await self._post("/moderations", {"input": text, "model": model})
        results = answer.get("results") if isinstance(answer, dict) else None
        if not isinstance(results, list) or not results or not isinstance(results[0], dict):
            with _translated(self._endpoint()):
                raise reported_error(answer) or Garbled("a moderation without a result")
        return {**results[0], "model": str(answer.get("model") or model)}

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        endpoint = self._endpoint()
        tally.current().call(body["model"])
        with _translated(endpoint, body):
            async with asyncio.timeout(COMPLETE_S):
                return await self._client(endpoint).post(path, body=body, cast_to=object)

    def _client(self, endpoint: Endpoint) -> AsyncOpenAI:
        """The SDK's client, kept while the endpoint stays: making one takes a millisecond."""
        if self._made is None or self._made[0] != endpoint:
            client = AsyncOpenAI(
                base_url=endpoint.base_url,
                api_key=endpoint.api_key or "none",
                http_client=self._http,
                max_retries=0,
                default_headers=dict(endpoint.headers),
                timeout=openai.Timeout(None, connect=CONNECT_S),
            )
            self._made = (endpoint, client)
        return self._made[1]


@functools.cache
def _certificates() -> ssl.SSLContext:
    """Reading them takes 50 ms, so once for all clients of a process."""
    return httpx2.create_ssl_context()


async def _deltas(
    response: httpx2.Response, endpoint: Endpoint
) -> AsyncGenerator[list[Delta], None]:
    answer = Answer(response.headers.get("content-type", ""))
    with _translated(endpoint):
        async with aclosing(response.aiter_bytes()) as pieces:
            try:
                async for piece in pieces:
                    yield answer.feed(piece)
                    if answer.done:
                        break
            except Exception:
                yield answer.finish()  # what had come when the connection broke
                raise
            yield answer.finish()
            if answer.error is not None:
                raise answer.error
            await _drain(pieces)


async def _drain(pieces: AsyncIterator[bytes]) -> None:
    """Read what is left of a body whose end has been announced, if it comes at once."""
    with contextlib.suppress(TimeoutError, httpx2.HTTPError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(DRAIN_S):
            async for _ in pieces:
                pass


@contextlib.contextmanager
def _translated(endpoint: Endpoint, sent: Collection[str] = ()) -> Iterator[None]:
    """Turn whatever the SDK and the transport raise into our tree, without the key in it.

    ``sent`` are the parameters of the request, in case one of them is refused.
    """
    try:
        yield
    except Exception as error:
        fault = _fault(error, sent)
        if fault is None:
            raise
        fault.blank(endpoint.api_key)
        raise fault from None


def _fault(error: Exception, sent: Collection[str]) -> ProviderError | None:
    """Our error for one of the SDK's or the transport's; None for anything else, a bug of ours."""
    match error:
        case ProviderError():
            return error
        case openai.APIStatusError():
            response = error.response
            return error_of_status(response.status_code, _body(response), response.headers, sent)
        case TimeoutError():
            return TimedOut("the provider did not answer within the deadline")
        case openai.APIConnectionError() | httpx2.HTTPError() | aiohttp.ClientError() | OSError():
            # Behind an empty line the parser quotes what it read: it may be somebody's reply.
            words, _, _ = str(error.__cause__ or error).partition("\n\n")
            return Unreachable(" ".join(words.split()) or type(error).__name__)
        case openai.OpenAIError() | httpx2.InvalidURL() | ValueError():
            return Garbled(f"{type(error).__name__}: {error}")
    return None


def _body(response: httpx2.Response) -> Any:
    try:
        return decoded(response.content)
    except Garbled:
        return response.text
