"""However HTTP carries an answer the reply is the same; what HTTP breaks is no complete one."""

import gzip
import zlib
from collections.abc import Iterator
from typing import Any

import brotli
import pytest

from chat.engine import turn
from chat.engine.events import Outcome
from chat.engine.provider import Provider
from tests.engine.running import KEY, Run, asking, run
from tests.fake_provider import (
    Cut,
    Done,
    FakeProvider,
    Finish,
    Headers,
    Raw,
    Script,
    Status,
    Text,
    Wait,
    Wire,
    body_of,
    reply,
)

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
BODY = body_of(reply("Grüße 😀", reasoning="Hm"))


@pytest.fixture(autouse=True)
def _one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "CALLS", 1)


@pytest.fixture
def other() -> Iterator[FakeProvider]:
    with FakeProvider(reply("elsewhere")) as provider:
        yield provider


def encoded(name: str, data: bytes) -> Script:
    return Script(Headers(extra={"Content-Encoding": name}), Raw(data))


def wire(head: bytes, body: bytes = BODY) -> Script:
    return Script(Wire(head + b"\r\n" + body))


def complete(done: Run, text: str = "Grüße 😀") -> bool:
    return (done.turn.outcome, done.text, done.kind) == (Outcome.COMPLETE, text, "")


@pytest.mark.parametrize(
    "answer",
    [
        encoded("gzip", gzip.compress(BODY)),
        encoded("deflate", zlib.compress(BODY)),
        encoded("br", brotli.compress(BODY)),
        encoded("identity", BODY),
        Script(Headers("text/plain"), Raw(BODY)),
        Script(Headers("application/octet-stream"), Raw(BODY)),
    ],
)
@pytest.mark.parametrize("size", [0, 1, 7])
async def test_a_label_changes_nothing(
    client: Provider, provider: FakeProvider, answer: Script, size: int
) -> None:
    provider.script(answer.using(byte_split=size))
    assert complete(await run(client))


@pytest.mark.parametrize(
    "answer",
    [
        wire(HEAD.replace(b"1.1", b"1.0")),
        wire(HEAD + b"Connection: close\r\n"),
        wire(HEAD + b"Content-Length: %d\r\n" % len(BODY)),
        wire(HEAD + b"Content-Length: 99999\r\n"),  # the model had ended before the body had not
        wire(
            HEAD + b"Transfer-Encoding: chunked\r\n",
            b"%x;ext=1\r\n%b\r\n0\r\nX-Trailer: 1\r\n\r\n" % (len(BODY), BODY),
        ),
        wire(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + HEAD + b"Connection: close\r\n"),
        wire(HEAD.replace(b"Content-Type", b"content-TYPE") + b"Connection: close\r\n"),
    ],
)
async def test_any_framing_will_do(
    client: Provider, provider: FakeProvider, answer: Script
) -> None:
    provider.script(answer)
    assert complete(await run(client))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (encoded("gzip", gzip.compress(BODY)[:-40]), "empty"),
        (wire(HEAD + b"Content-Length: 99999\r\n", BODY[:-80]), "unreachable"),
        (wire(HEAD + b"Content-Length: %d\r\n" % (len(BODY) - 80)), "unreachable"),
        (wire(HEAD + b"Transfer-Encoding: chunked\r\n", b"fff\r\n" + BODY), "unreachable"),
        (wire(HEAD + b"Connection: close\r\n", BODY[:-80]), "empty"),
    ],
)
async def test_a_body_that_is_cut_is_no_complete_reply(
    client: Provider, provider: FakeProvider, answer: Script, kind: str
) -> None:
    provider.script(answer)
    done = await run(client)
    if done.turn.outcome == Outcome.COMPLETE:  # the cut fell behind the end of the reply
        assert complete(done)
    else:
        assert done.kind == kind
        assert "Grüße 😀".startswith(done.text)


async def test_what_came_before_the_connection_broke_is_kept(
    client: Provider, provider: FakeProvider
) -> None:
    unended = body_of(Script(Text("last words", size=99))).rstrip(b"\n")
    provider.script(Script(Raw(unended), Cut()))
    done = await run(client)
    assert (done.turn.outcome, done.text) == (Outcome.INTERRUPTED, "last words")
    provider.script(Script(Text("Hi"), Raw(body_of(Script(Finish())).rstrip(b"\n")), Cut()))
    assert complete(await run(client), "Hi")


async def test_the_detail_of_a_broken_connection_quotes_nobody(
    client: Provider, provider: FakeProvider
) -> None:
    words = body_of(Script(Text("private words", size=99), Finish(), Done()))
    provider.script(wire(HEAD + b"Content-Length: 3\r\n", words))
    first = await run(client)
    second = await run(client)
    for done in (first, second):
        assert "private" not in str(done.turn.error)


# Redirects


@pytest.mark.parametrize("status", [307, 308])
async def test_a_redirect_that_keeps_the_method_is_followed(
    client: Provider, provider: FakeProvider, status: int
) -> None:
    provider.enqueue(Script(Status(status, {"Location": "/v1/chat/completions"}, b"")))
    assert complete(await run(client), "All is well.")
    assert [request.kind for request in provider.requests] == ["stream", "stream"]
    assert provider.streams[-1].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_another_host_does_not_take_the_key_there(
    client: Provider, provider: FakeProvider, other: FakeProvider, status: int
) -> None:
    where = {"Location": f"{other.base_url}/chat/completions"}
    provider.script(Script(Status(status, where, b"")))
    await run(client)
    (request,) = other.requests
    assert "authorization" not in request.headers


async def test_a_redirect_to_a_page_is_no_reply(client: Provider, provider: FakeProvider) -> None:
    provider.script(Script(Status(302, {"Location": "/v1/models"}, b"")))
    provider.override("models", Script(Status(200, body="<h1>Sign in</h1>")))
    done = await run(client)
    assert (done.turn.outcome, done.kind) == (Outcome.FAILED, "garbled")


async def test_a_redirect_in_a_circle_ends(client: Provider, provider: FakeProvider) -> None:
    provider.script(Script(Status(307, {"Location": "/v1/chat/completions"}, b"")))
    done = await run(client)
    assert (done.turn.outcome, done.kind) == (Outcome.FAILED, "unreachable")


# Statuses


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": {"code": "content_filter", "status": 400, "param": "prompt"}}, "refused"),
        (402, {"error": {"message": "Insufficient Balance"}}, "refused"),
        (403, "<!DOCTYPE html><title>Just a moment...</title>", "not_authorised"),
        (404, [{"error": {"code": 404, "message": "models/x is not found"}}], "refused"),
        (429, [{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}], "rate_limited"),
        (498, {"error": {"message": "Flex tier capacity exceeded"}}, "unavailable"),
        (500, b"\x00\xff", "unavailable"),
        (502, "<html><h1>502 Bad Gateway</h1></html>", "unavailable"),
        (503, {"error": {"code": 503, "message": "Loading model"}}, "unavailable"),
        (524, {"title": "Error 524: A timeout occurred", "status": 524}, "unavailable"),
        (529, {"type": "error", "error": {"type": "overloaded_error"}}, "unavailable"),
    ],
)
async def test_a_status_says_what_kind_of_failure_it_is(
    client: Provider, provider: FakeProvider, status: int, body: Any, kind: str
) -> None:
    provider.script(Script(Status(status, body=body)))
    done = await run(client)
    assert (done.turn.outcome, done.kind, done.text) == (Outcome.FAILED, kind, "")
    assert f"HTTP {status}" in str(done.turn.error)


async def test_an_endpoint_that_only_ever_sends_bytes_one_by_one_is_read(
    client: Provider, provider: FakeProvider
) -> None:
    provider.script(Script(Text("Grüße"), Wait(0.01), Finish(), Done()).using(byte_split=1))
    assert complete(await run(client, asking()), "Grüße")
