"""One endpoint over a real socket: what is asked of it, what is learnt of it, how it fails."""

import asyncio
import gzip
import logging
import traceback
from typing import Any

import pytest

from chat.engine.errors import NotAuthorised, ProviderError, RateLimited, Unreachable
from chat.engine.events import Delta
from chat.engine.provider import Endpoint, Provider
from chat.engine.request import Request
from tests.engine.running import KEY, asking, read, run, text_of
from tests.fake_provider import (
    Chunk,
    Done,
    FakeProvider,
    Finish,
    Gate,
    Headers,
    Raw,
    Reasoning,
    Reset,
    Script,
    StallForever,
    Status,
    Text,
    Usage,
    Wait,
    Wire,
    body_of,
    error_body,
    reply,
)


async def streamed(client: Provider, request: Request | None = None) -> list[Delta]:
    async with asyncio.timeout(10), client.stream(request or asking()) as chunks:
        return [delta async for deltas in chunks for delta in deltas]


def refusal(parameter: str, words: str = "Unsupported parameter") -> Script:
    message = f"{words}: '{parameter}' is not supported with this model."
    return Script(Status(400, body=error_body(400, message, param=parameter)))


# What is asked


async def test_a_request_says_what_was_chosen_and_no_more(
    client: Provider, provider: FakeProvider
) -> None:
    await streamed(client, asking("Hello?"))
    await streamed(client, asking("Hello?", temperature=0.0, top_p=0.5, max_tokens=7))

    plain, full = (request.body for request in provider.streams)
    assert plain == {
        "model": "fake",
        "messages": [{"role": "user", "content": "Hello?"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert full == plain | {"temperature": 0.0, "top_p": 0.5, "max_tokens": 7}
    assert provider.streams[0].headers["authorization"] == f"Bearer {KEY}"


async def test_an_unnamed_model_is_the_endpoints_own(
    client: Provider, provider: FakeProvider
) -> None:
    await streamed(client, Request("", ({"role": "user", "content": "Hi"},)))
    assert "model" not in provider.streams[0].body


async def test_the_endpoint_is_asked_anew_at_every_call(provider: FakeProvider) -> None:
    with FakeProvider(reply("elsewhere")) as other:
        urls = [provider.base_url, other.base_url]
        client = Provider(lambda: Endpoint(urls[0], KEY))
        await streamed(client)
        urls.pop(0)
        assert text_of(await streamed(client)) == "elsewhere"
        await client.close()


async def test_a_connection_is_used_again_after_done(
    client: Provider, provider: FakeProvider
) -> None:
    provider.script(Script(Text("Hi"), Finish(), Done(), Wait(0.01)))
    for _ in range(5):  # the end of the body may come too late, but hardly five times
        await streamed(client)
        await provider.eventually(lambda: not provider.open_streams)
        if provider.streams[-1].finished:
            return
    pytest.fail("the connection was closed at [DONE]")


# What comes back, however it travels


@pytest.mark.parametrize("framing", ["chunked", "close"])
@pytest.mark.parametrize("size", [0, 1, 3, 50])
async def test_framing_and_packets_change_nothing(
    client: Provider, provider: FakeProvider, framing: str, size: int
) -> None:
    script = Script(
        Chunk({"role": "assistant", "content": ""}),
        Reasoning("Hm, 🌍?"),
        Text("Grüße 😀", size=1),
        Finish(),
        Usage(),
        Done(),
    )
    provider.script(script.using(framing=framing, byte_split=size))
    expected, _ = read(body_of(script, include_usage=True))
    assert await streamed(client) == expected


async def test_a_compressed_stream_is_read(client: Provider, provider: FakeProvider) -> None:
    packed = gzip.compress(body_of(reply("Hi")))
    provider.script(Script(Headers(extra={"Content-Encoding": "gzip"}), Raw(packed)))
    assert text_of(await streamed(client)) == "Hi"


async def test_a_provider_that_stays_after_done_is_left(
    client: Provider, provider: FakeProvider
) -> None:
    provider.script(Script(Text("Hi"), Finish(), Done(), StallForever()))
    assert text_of(await streamed(client)) == "Hi"
    (request,) = provider.streams
    await asyncio.to_thread(request.wait_closed, 1)


async def test_leaving_the_context_early_closes_the_connection(
    client: Provider, provider: FakeProvider
) -> None:
    provider.script(Script(Text("Hi"), StallForever()))
    async with client.stream(asking()) as chunks:
        await anext(chunks)
    (request,) = provider.streams
    await asyncio.to_thread(request.wait_closed, 1)


async def test_an_error_of_ours_stays_our_own_and_closes_the_connection(
    client: Provider, provider: FakeProvider
) -> None:
    provider.script(Script(Headers(), StallForever()))
    for bug in (ValueError("ours"), TimeoutError("ours"), OSError("ours")):
        with pytest.raises(type(bug), match="ours"):
            async with client.stream(asking()):
                raise bug
        await asyncio.to_thread(provider.streams[-1].wait_closed, 1)


# How it fails


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Script(Status(404, body="<h1>Not here</h1>")), "refused"),
        (Script(Status(200, body="<h1>Sign in</h1>")), "garbled"),
        (Script(Status(200, body=error_body(500))), "unavailable"),
        (Script(Status(204, body=b"")), "garbled"),
        (Script(Status(302, {"Location": "/elsewhere"}, b"")), "refused"),
        (Script(Wire(b"not HTTP at all\r\n\r\n")), "unreachable"),
        (Script(Wire(b"")), "unreachable"),
        (Script(Headers(), Reset()), "unreachable"),
        (Script(Headers(extra={"Content-Encoding": "gzip"}), Raw(b"no gzip")), "unreachable"),
        (
            Script(Wire(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n: ")),
            "unreachable",
        ),
        (
            Script(Wire(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")),
            "unreachable",
        ),
    ],
)
async def test_whatever_an_endpoint_does_is_one_of_our_errors(
    client: Provider, provider: FakeProvider, answer: Script, kind: str
) -> None:
    provider.script(answer)
    with pytest.raises(ProviderError) as caught:
        await streamed(client)
    assert caught.value.kind == kind
    assert caught.value.detail


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/v1", "http://nowhere.invalid/v1"])
async def test_an_endpoint_that_is_not_there_is_unreachable(url: str) -> None:
    client = Provider(lambda: Endpoint(url, KEY))
    with pytest.raises(Unreachable):
        await streamed(client)
    with pytest.raises(Unreachable):
        await client.models()
    await client.close()


@pytest.mark.parametrize("url", ["", "localhost", "http://", "http://[::1", "gopher://x/v1"])
async def test_an_address_that_is_none_is_one_of_our_errors(url: str) -> None:
    client = Provider(lambda: Endpoint(url, KEY))
    with pytest.raises(ProviderError):
        await streamed(client)
    await client.close()


@pytest.mark.parametrize("key", ["schlüssel-mit-umlaut", "two\nlines-of-key"])
async def test_a_key_that_no_header_can_hold_is_one_of_our_errors(
    provider: FakeProvider, key: str
) -> None:
    client = Provider(lambda: Endpoint(provider.base_url, key))
    with pytest.raises(ProviderError) as caught:
        await streamed(client)
    assert key not in str(caught.value)
    await client.close()


@pytest.mark.parametrize("key", [KEY, "correct-horse-battery-staple"])
@pytest.mark.parametrize("status", [401, 403])
async def test_a_key_that_the_provider_echoes_is_nowhere(
    provider: FakeProvider, key: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = Provider(lambda: Endpoint(provider.base_url, key))
    echo = f"Incorrect API key provided: {key}. Authorization: Bearer {key}"
    provider.script(Script(Status(status, body=error_body(status, echo))))
    provider.override("models", Script(Status(status, body=f"<p>{key}</p>")))
    provider.override("moderations", Script(Status(200, body={"error": echo})))
    shown = []
    for call in (streamed(client), client.models(), client.moderations("x", "m")):
        with pytest.raises(ProviderError) as caught:
            await call
        error = caught.value
        shown += [error.detail, str(error), repr(error), repr(error.args)]
        shown += traceback.format_exception(error)
        logging.getLogger("test").error("it failed: %s", error, exc_info=error)
    provider.script(Script(Text("Hi"), Chunk(raw={"error": echo})))
    turn = (await run(client)).turn
    shown += [repr(turn), str(turn.error), repr(Endpoint("http://x", key)), caplog.text]
    await client.close()

    assert isinstance(turn.error, ProviderError)
    assert "[secret]" in turn.error.detail
    assert not [text for text in shown if key in text]


async def test_a_status_keeps_its_retry_after(client: Provider, provider: FakeProvider) -> None:
    provider.script(Script(Status(429, {"Retry-After": "17"})))
    with pytest.raises(RateLimited) as caught:
        await streamed(client)
    assert caught.value.retry_after_s == 17
    assert "HTTP 429" in caught.value.detail


# What is learnt


async def test_stream_options_are_left_out_once_refused(
    client: Provider, provider: FakeProvider
) -> None:
    provider.refuses_stream_options = True
    first = await run(client)
    second = await run(client)
    assert (first.text, second.text) == ("All is well.", "All is well.")
    assert (first.calls, second.calls) == (2, 1)
    assert ["stream_options" in r.body for r in provider.streams] == [True, False, False]


async def test_max_tokens_goes_by_its_newer_name_once_refused(
    client: Provider, provider: FakeProvider
) -> None:
    provider.enqueue(refusal("max_tokens"))
    await run(client, asking(max_tokens=9))
    await run(client, asking(max_tokens=8))
    sent = [
        (r.body.get("max_tokens"), r.body.get("max_completion_tokens")) for r in provider.streams
    ]
    assert sent == [(9, None), (None, 9), (None, 8)]


async def test_every_optional_parameter_can_be_given_up_one_after_the_other(
    client: Provider, provider: FakeProvider
) -> None:
    names = ["stream_options", "max_tokens", "temperature", "max_completion_tokens", "top_p"]
    provider.enqueue(*map(refusal, names))
    done = await run(client, asking(temperature=1.0, top_p=0.9, max_tokens=9))
    assert done.text == "All is well."
    assert done.calls == 6
    assert set(provider.streams[-1].body) == {"model", "messages", "stream"}


async def test_what_is_learnt_holds_for_its_model_only(
    client: Provider, provider: FakeProvider
) -> None:
    provider.enqueue(refusal("temperature"))
    await run(client, asking(temperature=0.5))
    other = Request("other", asking().messages, temperature=0.5)
    await run(client, other)
    assert [r.body.get("temperature") for r in provider.streams] == [0.5, None, 0.5]


async def test_two_turns_may_learn_the_same_at_once(
    client: Provider, provider: FakeProvider
) -> None:
    answer = Script(Gate("both"), refusal("stream_options").steps)
    provider.enqueue(answer, answer)
    both = asyncio.gather(run(client), run(client))
    await asyncio.to_thread(provider.wait_at_gate, "both", 2)
    provider.open("both")
    assert [(done.text, done.calls) for done in await both] == [("All is well.", 2)] * 2


async def test_a_refusal_of_something_that_was_not_sent_is_final(
    client: Provider, provider: FakeProvider
) -> None:
    provider.script(refusal("temperature"))
    done = await run(client)
    assert (done.kind, done.calls) == ("refused", 1)


async def test_a_refused_value_is_not_taken_for_a_refused_parameter(
    client: Provider, provider: FakeProvider
) -> None:
    message = "max_tokens is too large: 100000. This model supports at most 4096 tokens."
    provider.enqueue(Script(Status(400, body=error_body(400, message, param="max_tokens"))))
    done = await run(client, asking(max_tokens=100_000))
    assert (done.kind, done.calls) == ("refused", 1)
    await run(client, asking(max_tokens=10))
    assert provider.streams[-1].body["max_tokens"] == 10


# Titles, models, moderations


async def test_a_completion_is_its_text(client: Provider, provider: FakeProvider) -> None:
    provider.title = "Fish & chips"
    assert await client.complete(asking(max_tokens=9)) == "Fish & chips"
    (request,) = provider.requests
    assert request.body == {
        "model": "fake",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 9,
    }


async def test_a_completion_leaves_its_reasoning_out(
    client: Provider, provider: FakeProvider
) -> None:
    message = {"reasoning_content": "Hm.", "content": "Fi\0sh"}
    provider.override("titles", Script(Status(200, body={"choices": [{"message": message}]})))
    assert await client.complete(asking()) == "Fi\ufffdsh"


async def test_a_completion_learns_too(client: Provider, provider: FakeProvider) -> None:
    provider.override("titles", refusal("temperature"))
    with pytest.raises(ProviderError):
        await client.complete(asking(temperature=0.2))
    assert [request.body.get("temperature") for request in provider.requests] == [0.2, None]
    provider.override("titles", None)
    assert await client.complete(asking(temperature=0.2)) == "A short title"


async def test_models_are_names(client: Provider, provider: FakeProvider) -> None:
    provider.models = ["one", "two"]
    assert await client.models() == ["one", "two"]
    data: list[Any] = [{"id": "a\0"}, {"id": ""}, {"id": 7}, {}, None, "b"]
    provider.override("models", Script(Status(200, body={"data": data})))
    assert await client.models() == ["a\ufffd"]


async def test_a_moderation_is_its_first_result(client: Provider, provider: FakeProvider) -> None:
    result = await client.moderations("please flagme", "asked-for")
    assert result["flagged"] is True
    assert result["categories"]["violence"] is True
    assert result["model"] == "omni-moderation-latest"
    assert provider.requests[0].body == {"input": "please flagme", "model": "asked-for"}


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Status(401), "not_authorised"),
        (Status(404, body="<h1>Not here</h1>"), "refused"),
        (Status(429, {"Retry-After": "1"}), "rate_limited"),
        (Status(500, body=b"\xff\x00"), "unavailable"),
        (Status(200, body="<h1>Sign in</h1>"), "garbled"),
        (Status(200, {"Content-Type": "application/json"}, b"{broken"), "garbled"),
        (Status(200, body={"error": {"message": "Busy.", "code": 503}}), "unavailable"),
        (Status(200, body={"object": "list", "data": {}, "results": {}}), "garbled"),
        (Status(200, {"Content-Type": "application/json"}, b"[]"), "garbled"),
        (Status(200, {"Content-Type": "application/json"}, b"null"), "garbled"),
        (Wire(b"nonsense\r\n\r\n"), "unreachable"),
    ],
)
async def test_a_broken_answer_is_one_of_our_errors(
    client: Provider, provider: FakeProvider, answer: Any, kind: str
) -> None:
    provider.override("models", Script(answer))
    provider.override("moderations", Script(answer))
    provider.override("titles", Script(answer))
    calls = [client.models(), client.moderations("x", "m")]
    if "data" not in str(answer):  # an object without choices is a completion without text
        calls.append(client.complete(asking()))
    for call in calls:
        with pytest.raises(ProviderError) as caught:
            await call
        assert caught.value.kind == kind
    assert len(provider.requests) == len(calls)


async def test_an_unauthorised_call_is_not_repeated(
    client: Provider, provider: FakeProvider
) -> None:
    provider.api_key = "another"
    with pytest.raises(NotAuthorised):
        await streamed(client)
    assert len(provider.streams) == 1
