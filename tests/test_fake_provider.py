"""The fake provider does what its scripts say, to the byte: every other test leans on that."""

import asyncio
import re
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.fake_provider import (
    Bench,
    Chunk,
    Comment,
    Cut,
    Done,
    FakeProvider,
    Finish,
    Gate,
    Headers,
    Raw,
    Reasoning,
    Refusal,
    Reset,
    Script,
    StallForever,
    Status,
    Text,
    Usage,
    Wait,
    Wire,
    body_of,
    reply,
    tool_call,
)

ROOT = Path(__file__).parents[1]
TOKEN = re.compile(r"t(\d+)x(\d+)(?:a(\d+))?z")
ASK: dict[str, Any] = {"model": "fake", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with FakeProvider() as running:
        yield running


@pytest.fixture
async def client(provider: FakeProvider) -> AsyncIterator[openai.AsyncOpenAI]:
    unencrypted = openai.DefaultAsyncHttpxClient(verify=False, timeout=10)  # CAs take 0.1 s to load
    async with openai.AsyncOpenAI(
        base_url=provider.base_url, api_key="x", max_retries=0, http_client=unencrypted
    ) as made:
        yield made


async def chunks_of(client: openai.AsyncOpenAI, **more: Any) -> list[Any]:
    stream = await client.chat.completions.create(**(ASK | more), stream=True)
    return [chunk async for chunk in stream]


async def text_of(client: openai.AsyncOpenAI, **more: Any) -> str:
    chunks = await chunks_of(client, **more)
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def connect(provider: FakeProvider) -> socket.socket:
    return socket.create_connection(("127.0.0.1", provider.port), timeout=10)


def asking(body: bytes = b'{"stream":true}', extra: str = "") -> bytes:
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{extra}"
    )
    return head.encode() + b"\r\n" + body


def raw_answer(provider: FakeProvider, sent: bytes | None = None) -> bytes:
    """All bytes of the connection until the provider closes it."""
    with connect(provider) as sock:
        sock.sendall(sent or asking(extra="Connection: close\r\n"))
        return b"".join(iter(lambda: sock.recv(65536), b""))


def dechunked(body: bytes) -> list[bytes]:
    """The HTTP chunks of a complete body. Raises ValueError when it was cut."""
    chunks = []
    while True:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        if body[length : length + 2] != b"\r\n":
            raise ValueError("the body was cut")
        if not length:
            return chunks
        chunks.append(body[:length])
        body = body[length + 2 :]


# What the SDK sees


async def test_a_reply_arrives_whole(provider: FakeProvider, client: openai.AsyncOpenAI) -> None:
    script = reply("Grüße, 世界 🌍 and <b>more</b>", size=3, reasoning="Hm.")
    provider.script(script)

    chunks = await chunks_of(client)

    deltas = [c.choices[0].delta for c in chunks]
    assert "".join(d.content or "" for d in deltas) == "Grüße, 世界 🌍 and <b>more</b>"
    assert "".join(getattr(d, "reasoning_content", None) or "" for d in deltas) == "Hm."
    assert chunks[-1].choices[0].finish_reason == "stop"
    (request,) = provider.wait_for_requests(1)
    request.wait_finished()
    assert not request.closed_by_client
    assert request.bytes_sent == len(body_of(script))
    assert request.messages == ASK["messages"]
    assert request.headers["authorization"] == "Bearer x"


async def test_usage_comes_only_to_who_asks(
    provider: FakeProvider, client: openai.AsyncOpenAI
) -> None:
    without = await chunks_of(client)
    asked = await chunks_of(client, stream_options={"include_usage": True})

    assert [c.usage for c in without if c.usage] == []
    (usage,) = [c.usage for c in asked if c.usage]
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert asked[-1].choices == []


async def test_usage_can_come_unasked(provider: FakeProvider, client: openai.AsyncOpenAI) -> None:
    provider.script(Script(Text("x"), Usage(1, 2, always=True), Done()))

    assert [c.usage.total_tokens for c in await chunks_of(client) if c.usage] == [3]


async def test_an_endpoint_that_does_not_know_stream_options(
    provider: FakeProvider, client: openai.AsyncOpenAI
) -> None:
    provider.refuses_stream_options = True

    with pytest.raises(openai.BadRequestError, match="stream_options"):
        await chunks_of(client, stream_options={"include_usage": True})
    assert await text_of(client) == "Hello from the fake provider."


async def test_queued_scripts_come_first_and_titles_take_none(
    provider: FakeProvider, client: openai.AsyncOpenAI
) -> None:
    provider.enqueue(reply("one"), reply("two"))
    provider.title = "Fish"

    title = await client.chat.completions.create(**ASK)
    texts = [await text_of(client) for _ in range(3)]

    assert title.choices[0].message.content == "Fish"
    assert texts == ["one", "two", "Hello from the fake provider."]
    assert [r.kind for r in provider.requests] == ["completion", "stream", "stream", "stream"]


async def test_a_test_can_choose_by_the_request(
    provider: FakeProvider, client: openai.AsyncOpenAI
) -> None:
    provider.choose = lambda request: reply("chosen") if request.model == "other" else None

    assert await text_of(client, model="other") == "chosen"
    assert await text_of(client) == "Hello from the fake provider."


async def test_models_are_listed(provider: FakeProvider, client: openai.AsyncOpenAI) -> None:
    provider.models = ["a:b", "c=d"]

    assert [m.id async for m in client.models.list()] == ["a:b", "c=d"]


async def test_moderation_flags_words(client: openai.AsyncOpenAI) -> None:
    clean, flagged = (await client.moderations.create(input=["fine", "do FlagMe now"])).results

    assert not clean.flagged
    assert flagged.flagged
    assert flagged.categories.violence
    assert flagged.category_scores.violence > 0.9


@pytest.mark.parametrize(
    ("endpoint", "call"),
    [
        ("titles", lambda c: c.chat.completions.create(**ASK)),
        ("models", lambda c: c.models.list()),
        ("moderations", lambda c: c.moderations.create(input="x")),
    ],
)
async def test_each_endpoint_can_fail_and_recover(
    provider: FakeProvider, client: openai.AsyncOpenAI, endpoint: Any, call: Any
) -> None:
    provider.override(endpoint, Script(Status(503)))
    with pytest.raises(openai.InternalServerError):
        await call(client)

    provider.override(endpoint, None)
    assert await call(client)


async def test_a_status_carries_its_headers(
    provider: FakeProvider, client: openai.AsyncOpenAI
) -> None:
    provider.enqueue(Script(Status(429, {"Retry-After": "7"})))

    with pytest.raises(openai.RateLimitError) as caught:
        await chunks_of(client)
    assert caught.value.response.headers["retry-after"] == "7"


async def test_a_wrong_key_is_refused(provider: FakeProvider, client: openai.AsyncOpenAI) -> None:
    provider.api_key = "right"

    with pytest.raises(openai.AuthenticationError):
        await text_of(client)
    assert await text_of(client.with_options(api_key="right"))


async def test_a_tool_call_comes_in_fragments(
    provider: FakeProvider, client: openai.AsyncOpenAI
) -> None:
    provider.script(Script(tool_call("look", '{"q": "a b"}', size=5), Finish("tool_calls"), Done()))

    calls = [c.choices[0].delta.tool_calls for c in await chunks_of(client)]

    parts = [part[0].function for part in calls if part]
    assert [part.name for part in parts if part.name] == ["look"]
    assert "".join(part.arguments for part in parts) == '{"q": "a b"}'


async def test_refusals_comments_and_odd_objects(
    provider: FakeProvider, client: openai.AsyncOpenAI
) -> None:
    provider.script(
        Script(
            Comment(),
            Refusal("No."),
            Reasoning("r", field="reasoning"),
            Chunk(raw={"x": [1]}),
            Done(),
        )
    )

    refused, thought, odd = await chunks_of(client)

    assert refused.choices[0].delta.refusal == "No."
    assert thought.choices[0].delta.reasoning == "r"
    assert odd.x == [1]


# Waiting, not sleeping


async def test_a_gate_holds_until_it_is_opened(
    provider: FakeProvider, client: openai.AsyncOpenAI
) -> None:
    provider.script(Script(Text("before"), Gate("g"), Text("after"), Finish(), Done()))
    stream = await client.chat.completions.create(**ASK, stream=True)
    seen = [await anext(stream), await anext(stream)]
    await asyncio.to_thread(provider.wait_at_gate, "g")
    assert "".join(c.choices[0].delta.content for c in seen) == "before"
    assert len(provider.open_streams) == 1

    provider.open("g")

    rest = [c async for c in stream]
    assert "".join(c.choices[0].delta.content or "" for c in rest) == "after"
    await provider.eventually(lambda: not provider.open_streams)


async def test_a_gate_may_be_opened_before_anyone_comes(
    provider: FakeProvider, client: openai.AsyncOpenAI
) -> None:
    provider.open("g")
    provider.script(Script(Gate("g"), Text("x"), Done()))

    assert await text_of(client) == "x"


@pytest.mark.parametrize("silence", [Gate("never"), StallForever(), Wait(3600)])
@pytest.mark.parametrize("before", [(), (Text("some text"),)])
async def test_the_clients_close_is_seen_in_any_silence(
    provider: FakeProvider, client: openai.AsyncOpenAI, silence: Any, before: Any
) -> None:
    provider.script(Script(*before, silence))
    asking_task = asyncio.create_task(chunks_of(client))
    await provider.eventually(lambda: provider.requests)
    (request,) = provider.requests
    await asyncio.to_thread(request.wait_sent, 1 if before else 0)
    assert not request.closed_by_client

    asked_to_stop = time.monotonic()
    asking_task.cancel()
    await asyncio.gather(asking_task, return_exceptions=True)

    closed_at = await asyncio.to_thread(request.wait_closed)
    assert asked_to_stop <= closed_at
    assert not request.finished


async def test_the_clients_close_is_seen_while_text_flows(
    provider: FakeProvider, client: openai.AsyncOpenAI
) -> None:
    provider.script(reply("x" * 100_000, size=1, rate=1000))
    async with await client.chat.completions.create(**ASK, stream=True) as stream:
        await anext(stream)

    (request,) = provider.requests
    await asyncio.to_thread(request.wait_closed)
    assert not request.finished


def test_a_client_that_does_not_read_holds_only_its_own_stream(provider: FakeProvider) -> None:
    provider.enqueue(reply("x" * 4_000_000, size=1000))
    with connect(provider) as slow:
        slow.sendall(asking())
        (stuck,) = provider.wait_for_requests(1)

        assert b"[DONE]" in raw_answer(provider)
        assert not stuck.finished
    stuck.wait_closed()


def test_a_wait_that_times_out_says_what_there_was(provider: FakeProvider) -> None:
    raw_answer(provider)

    with pytest.raises(TimeoutError, match="chat/completions"):
        provider.wait_for_requests(2, timeout=0.01)


# What only raw bytes show


def test_the_rate_is_kept(provider: FakeProvider) -> None:
    provider.script(reply("x" * 11, size=1, rate=100))
    start = time.monotonic()

    raw_answer(provider)

    assert time.monotonic() - start >= 0.1


def test_the_body_leaves_in_pieces_of_any_size(provider: FakeProvider) -> None:
    script = reply("Grüße", size=2)
    for size in (1, 2, 7, 10_000):
        provider.enqueue(script.using(byte_split=size))
        _, _, body = raw_answer(provider).partition(b"\r\n\r\n")
        pieces = dechunked(body)
        assert {len(piece) for piece in pieces[:-1]} <= {size}
        assert b"".join(pieces) == body_of(script)


def test_the_body_can_be_cut_at_every_byte(provider: FakeProvider) -> None:
    script = Script(Text("né"), Finish(), Done())
    whole = body_of(script)
    for cut in range(len(whole) + 1):
        provider.enqueue(script.using(cut_after=cut, framing="close"))
        head, _, body = raw_answer(provider).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert body == whole[:cut]


def test_a_cut_breaks_a_chunked_body(provider: FakeProvider) -> None:
    provider.script(Script(Text("some"), Cut(), Text("more")))

    answer = raw_answer(provider)

    assert b"some" in answer
    assert b"more" not in answer
    with pytest.raises(ValueError, match=r"cut|invalid literal"):
        dechunked(answer.partition(b"\r\n\r\n")[2])


async def test_the_sdk_sees_a_cut_as_an_error(
    provider: FakeProvider, client: openai.AsyncOpenAI
) -> None:
    provider.script(Script(Text("some"), Cut()))

    with pytest.raises(Exception, match=r"(?i)incomplete|closed|connection"):
        await chunks_of(client)


def test_a_reset_is_a_reset(provider: FakeProvider) -> None:
    provider.script(Script(Headers(), Gate("read"), Reset()))
    with connect(provider) as sock:
        sock.sendall(asking())
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")
        provider.open("read")

        with pytest.raises(ConnectionResetError):
            sock.recv(65536)
    provider.streams[0].wait_finished()


def test_the_head_can_be_anything(provider: FakeProvider) -> None:
    provider.enqueue(
        Script(Headers("text/html", 203, {"X-Odd": "1"}), Raw(b"<p>\xff")),
        Script(Wire(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort")),
        Script(Wire(b"\x00\x01 not HTTP")),
    )

    odd = raw_answer(provider)
    assert odd.startswith(b"HTTP/1.1 203")
    assert b"Content-Type: text/html\r\n" in odd
    assert b"X-Odd: 1\r\n" in odd
    assert dechunked(odd.partition(b"\r\n\r\n")[2]) == [b"<p>\xff"]
    assert raw_answer(provider, asking()).endswith(b"Content-Length: 99\r\n\r\nshort")
    assert raw_answer(provider, asking()) == b"\x00\x01 not HTTP"


def test_the_head_waits_for_the_first_byte_unless_told(provider: FakeProvider) -> None:
    provider.enqueue(Script(Gate("a"), Text("x")), Script(Headers(), Gate("b"), Text("x")))
    with connect(provider) as sock:
        sock.sendall(asking())
        provider.wait_at_gate("a")
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(1)
    with connect(provider) as sock:
        sock.sendall(asking())
        assert sock.recv(65536).endswith(b"\r\n\r\n")


def test_a_connection_carries_many_requests_also_pipelined(provider: FakeProvider) -> None:
    provider.enqueue(reply("one"), Script(Status(500)), reply("three"))

    answer = raw_answer(provider, asking() + asking() + asking(extra="Connection: close\r\n"))

    assert answer.count(b"HTTP/1.1 200") == 2
    assert answer.count(b"HTTP/1.1 500") == 1
    assert [r.finished for r in provider.streams] == [True] * 3
    assert not any(r.closed_by_client for r in provider.streams)


def test_a_chunked_request_body_is_read(provider: FakeProvider) -> None:
    head = b"POST /v1/chat/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
    body = b'6\r\n{"stre\r\n9\r\nam":true}\r\n0\r\n\r\n'

    raw_answer(provider, head + b"Connection: close\r\n\r\n" + body)

    assert provider.requests[0].body == {"stream": True}


def test_half_a_surrogate_pair_travels_as_an_escape(provider: FakeProvider) -> None:
    provider.script(Script(Text("\ud83d"), Text("\ude00"), Done()))

    assert rb"\ud83d" in raw_answer(provider)


def test_the_same_script_makes_the_same_bytes(provider: FakeProvider) -> None:
    assert raw_answer(provider) == raw_answer(provider)


# Its life


def test_it_stops_and_comes_back_on_its_port(provider: FakeProvider) -> None:
    provider.script(Script(StallForever()))
    with connect(provider) as sock:
        sock.sendall(asking())
        provider.wait_for_requests(1)
        provider.stop()
        with pytest.raises(ConnectionError):
            connect(provider)

    provider.start()
    provider.script(reply("back"))
    assert b"back" in raw_answer(provider)


def test_reset_forgets_and_hangs_up(provider: FakeProvider) -> None:
    provider.enqueue(Script(StallForever()), reply("queued"))
    provider.title = "changed"
    with connect(provider) as sock:
        sock.sendall(asking())
        provider.wait_for_requests(1)

        provider.reset()

        assert sock.recv(1) == b""
    assert provider.requests == []
    assert provider.title == "A short title"
    assert b"Hell" in raw_answer(provider)


def test_a_script_that_is_wrong_fails_the_test_that_made_it() -> None:
    broken = FakeProvider(Script("not a step")).start()  # type: ignore[arg-type]
    raw_answer(broken)

    with pytest.raises(ExceptionGroup) as caught:
        broken.stop()
    assert "not a step" in str(caught.value.exceptions[0])


# The benchmark's stream


@pytest.mark.parametrize("rate", [0, 500])
async def test_stamped_tokens_are_numbered_and_timed(
    provider: FakeProvider, client: openai.AsyncOpenAI, rate: float
) -> None:
    provider.script(Script(Bench(tokens=50, rate=rate, paragraph=20), Finish(), Done()))
    before = time.monotonic_ns() // 1000

    text = await text_of(client)

    after = time.monotonic_ns() // 1000
    found = [tuple(map(int, m.groups(default="0"))) for m in TOKEN.finditer(text)]
    stamps = [sent for _, sent, _ in found]
    assert [number for number, _, _ in found] == list(range(50))
    assert stamps == sorted(stamps)
    assert before <= found[0][2] <= stamps[0] <= stamps[-1] <= after
    assert text.count("\n\n") == 2
    if rate:
        assert stamps[-1] - stamps[0] >= 49 / rate * 1e6 * 0.95


async def test_the_last_user_message_directs_the_stream(
    provider: FakeProvider, client: openai.AsyncOpenAI
) -> None:
    provider.script(Script(Bench(tokens=50, rate=10), Finish(), Done()))
    said = [
        {"role": "user", "content": "bench tokens=9"},
        {"role": "assistant", "content": "…"},
        {"role": "user", "content": [{"type": "text", "text": "bench tokens=7 rate=0"}]},
    ]

    assert len(TOKEN.findall(await text_of(client, messages=said))) == 7


def test_it_runs_as_a_program() -> None:
    command = [sys.executable, "-m", "tests.fake_provider", "--tokens", "5", "--rate", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout is not None
            url = program.stdout.readline().removeprefix("listening on ").strip()
            with openai.OpenAI(base_url=url, api_key="x") as client:
                chunks = list(client.chat.completions.create(**ASK, stream=True))
        finally:
            program.terminate()
    assert len(TOKEN.findall("".join(c.choices[0].delta.content or "" for c in chunks))) == 5
