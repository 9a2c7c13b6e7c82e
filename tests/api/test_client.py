"""OpenAI's own client against a running server."""

import asyncio
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.fake_provider import (
    Chunk,
    Cut,
    Done,
    FakeProvider,
    Finish,
    Gate,
    Refusal,
    Script,
    Status,
    Text,
    Usage,
    Wait,
    reply,
    tool_call,
)
from tests.support import eventually

from .conftest import AT_ONCE, Caller

pytestmark = pytest.mark.timeout(240)
LABELLED = Path(__file__).parents[1] / "moderation" / "labelled.jsonl"
SAMPLES = map(json.loads, LABELLED.read_text().splitlines())
FLAGGED = next(sample["text"] for sample in SAMPLES if sample["flagged"])
HELLO: list[Any] = [{"role": "user", "content": "Hello?"}]
WEATHER: list[Any] = [
    {
        "type": "function",
        "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
    }
]


async def test_a_completion_in_one_piece(client: AsyncOpenAI, provider: FakeProvider) -> None:
    provider.enqueue(reply("Good morning.", reasoning="Let me think."))
    found = await client.chat.completions.create(model="fake", messages=HELLO)
    assert found.id.startswith("chatcmpl-")
    assert (found.object, found.model) == ("chat.completion", "fake")
    (choice,) = found.choices
    assert (choice.message.role, choice.message.content) == ("assistant", "Good morning.")
    assert choice.message.reasoning_content == "Let me think."  # type: ignore[attr-defined]
    assert choice.finish_reason == "stop"
    assert found.usage is not None
    assert found.usage.total_tokens == found.usage.prompt_tokens + found.usage.completion_tokens > 0


async def test_a_streamed_completion(client: AsyncOpenAI, provider: FakeProvider) -> None:
    provider.enqueue(Script(Text("First"), Gate("rest"), Text(" and last."), Finish(), Usage()))
    stream = await client.chat.completions.create(
        model="fake", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = []
    async with stream:
        async for chunk in stream:
            chunks.append(chunk)
            provider.open("rest")  # the first one came before the last was written
    assert {(c.id, c.object, c.model) for c in chunks} == {
        (chunks[0].id, "chat.completion.chunk", "fake")
    }
    deltas = [c.choices[0].delta for c in chunks if c.choices]
    assert [d.role for d in deltas] == ["assistant"] + [None] * (len(deltas) - 1)
    assert "".join(d.content or "" for d in deltas) == "First and last."
    reasons = [c.choices[0].finish_reason for c in chunks if c.choices]
    assert reasons == [None] * (len(reasons) - 1) + ["stop"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert [c.usage for c in chunks[:-1]] == [None] * (len(chunks) - 1)


async def timed(caller: Caller, text: str) -> tuple[str, float]:
    """How the reply with this text went out, and when."""

    async def probe() -> list[Any]:
        return caller.rows(
            "SELECT u.transport, u.ttft_served_ms FROM chat_usage u"
            " JOIN chat_generation g ON g.id = u.generation_id"
            " JOIN chat_message m ON m.id = g.message_id"
            f" WHERE m.text = '{text}' AND u.ttft_served_ms IS NOT NULL"
        )

    ((transport, served_ms),) = await eventually(probe)
    return transport, served_ms


async def test_of_a_streamed_completion_the_first_chunk_is_timed(
    caller: Caller, client: AsyncOpenAI, provider: FakeProvider
) -> None:
    provider.enqueue(Script(Wait(0.2), Text("Timed at "), Wait(0.5), Text("last."), Finish()))
    stream = await client.chat.completions.create(model="fake", messages=HELLO, stream=True)
    async with stream:
        async for _chunk in stream:
            pass
    transport, served_ms = await timed(caller, "Timed at last.")
    assert transport == "api"
    assert 200 <= served_ms < 700


async def test_of_a_whole_completion_the_whole_is_timed(
    caller: Caller, client: AsyncOpenAI, provider: FakeProvider
) -> None:
    provider.enqueue(Script(Wait(0.2), Text("Timed as a "), Wait(0.5), Text("whole."), Finish()))
    began = time.monotonic()
    await client.chat.completions.create(model="fake", messages=HELLO)
    waited_ms = (time.monotonic() - began) * 1000
    transport, served_ms = await timed(caller, "Timed as a whole.")
    assert transport == "api_whole"
    assert 700 <= served_ms <= waited_ms


async def test_tool_calls_are_the_callers_to_run(
    caller: Caller, client: AsyncOpenAI, provider: FakeProvider
) -> None:
    provider.enqueue(Script(tool_call("weather", '{"city": "Oslo"}'), Finish("tool_calls"), Done()))
    found = await client.chat.completions.create(model="fake", messages=HELLO, tools=WEATHER)
    (choice,) = found.choices
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    assert choice.message.tool_calls is not None
    (call,) = choice.message.tool_calls
    assert call.type == "function"
    assert (call.function.name, call.function.arguments) == ("weather", '{"city": "Oslo"}')
    provider.enqueue(reply("It rains."))
    said = choice.message.model_dump(exclude_none=True)
    result = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
    then = await client.chat.completions.create(
        model="fake", messages=[*HELLO, said, result], tools=WEATHER, tool_choice="auto"
    )
    assert then.choices[0].message.content == "It rains."
    asked = provider.streams[-1].body
    assert asked["messages"] == [*HELLO, said, result]
    assert (asked["tools"], asked["tool_choice"]) == (WEATHER, "auto")
    states = caller.rows("SELECT state FROM chat_toolcall WHERE name = 'weather'")
    assert set(states) == {("passed_on",)}


async def test_streamed_tool_calls_assemble(client: AsyncOpenAI, provider: FakeProvider) -> None:
    provider.enqueue(
        Script(
            tool_call("weather", '{"city": "Oslo"}'),
            tool_call("weather", '{"city": "Rome"}', call_id="call_2", index=1),
            Finish("tool_calls"),
        )
    )
    async with client.chat.completions.stream(
        model="fake", messages=HELLO, tools=WEATHER
    ) as stream:
        found = await stream.get_final_completion()
    calls = found.choices[0].message.tool_calls
    assert calls is not None
    assert [json.loads(c.function.arguments)["city"] for c in calls] == ["Oslo", "Rome"]
    assert len({c.id for c in calls}) == 2
    assert found.choices[0].finish_reason == "tool_calls"


async def test_what_is_asked_reaches_the_provider_as_it_came(
    client: AsyncOpenAI, provider: FakeProvider
) -> None:
    form: Any = {
        "type": "json_schema",
        "json_schema": {"name": "x", "schema": {"type": "object", "properties": {}}},
    }
    messages: list[Any] = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "What is it?"}]},
    ]
    provider.enqueue(reply("{}"))
    await client.chat.completions.create(
        model="other",
        messages=messages,
        response_format=form,
        temperature=0.25,
        top_p=0.5,
        max_completion_tokens=99,
        seed=7,
        stop=["END"],
        presence_penalty=0.5,
        reasoning_effort="low",
        user="somebody",
        n=1,
    )
    body = provider.streams[-1].body
    assert body["messages"] == messages
    wanted = {
        "model": "other",
        "response_format": form,
        "temperature": 0.25,
        "top_p": 0.5,
        "max_completion_tokens": 99,
        "seed": 7,
        "stop": ["END"],
        "presence_penalty": 0.5,
        "reasoning_effort": "low",
    }
    assert wanted.items() <= body.items()
    assert not {"user", "n"} & body.keys()


async def test_a_refusal_is_told_apart(client: AsyncOpenAI, provider: FakeProvider) -> None:
    provider.enqueue(Script(Refusal("I would rather not."), Finish(), Done()))
    found = await client.chat.completions.create(model="fake", messages=HELLO)
    assert found.choices[0].message.refusal == "I would rather not."
    assert found.choices[0].message.content is None


@pytest.mark.parametrize(
    ("answer", "status"),
    [(401, 502), (400, 400), (503, 503), (429, 429)],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_reply_that_fails_before_its_first_token_has_a_status(
    client: AsyncOpenAI, provider: FakeProvider, answer: int, status: int, stream: bool
) -> None:
    provider.script(Script(Status(answer, body={"error": {"message": "sk-canary-99999999"}})))
    with pytest.raises(openai.APIStatusError) as caught:
        await client.chat.completions.create(model="fake", messages=HELLO, stream=stream)
    assert caught.value.status_code == status
    assert isinstance(caught.value.body, dict)
    assert caught.value.body.keys() == {"message", "type", "param", "code"}
    assert "canary" not in str(caught.value)


async def test_a_reply_that_breaks_is_never_shown_as_complete(
    client: AsyncOpenAI, provider: FakeProvider
) -> None:
    broken = Script(Text("Half an ans"), Gate("break"), Cut())
    provider.enqueue(broken, broken)
    stream = await client.chat.completions.create(model="fake", messages=HELLO, stream=True)
    text, reasons = "", []

    async def read() -> None:
        nonlocal text
        async for chunk in stream:
            text += chunk.choices[0].delta.content or ""
            reasons.append(chunk.choices[0].finish_reason)
            if text == "Half an ans":
                provider.open("break")

    with pytest.raises(openai.APIError):
        await read()
    assert (text, set(reasons)) == ("Half an ans", {None})
    with pytest.raises(openai.APIStatusError) as caught:
        await client.chat.completions.create(model="fake", messages=HELLO)
    assert caught.value.status_code == 503


async def test_what_moderation_withholds_is_not_given_out(
    client: AsyncOpenAI, provider: FakeProvider
) -> None:
    provider.enqueue(reply(FLAGGED), reply(FLAGGED))
    found = await client.chat.completions.create(model="fake", messages=HELLO)
    (choice,) = found.choices
    assert (choice.finish_reason, choice.message.content) == ("content_filter", "")
    stream = await client.chat.completions.create(model="fake", messages=HELLO, stream=True)
    reasons = [c.choices[0].finish_reason async for c in stream]
    assert reasons[-1] == "content_filter"


@pytest.mark.flaky(reruns=1)  # of processes on a machine that may hang
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("before", ["", "Half"])
async def test_closing_the_connection_ends_the_call_to_the_provider(
    caller: Caller, client: AsyncOpenAI, provider: FakeProvider, stream: bool, before: str
) -> None:
    steps = [Text(before)] if before else [Chunk({"role": "assistant", "content": ""})]
    provider.enqueue(Script(*steps, Gate("never"), Finish()))
    asking = asyncio.create_task(
        _read(client, stream)
        if stream
        else client.chat.completions.create(model="fake", messages=HELLO)
    )
    await provider.eventually(lambda: len(provider.streams) == 1 and provider._at_gate["never"])
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await provider.eventually(lambda: not provider.open_streams, timeout=1)
    assert provider.streams[0].closed_by_client

    async def stopped() -> bool:
        return caller.generation() == ("stopped", "user")

    await eventually(stopped)


async def _read(client: AsyncOpenAI, stream: bool) -> None:
    answer: Any = await client.chat.completions.create(model="fake", messages=HELLO, stream=True)
    async with answer:
        async for _ in answer:
            pass


async def test_many_at_once(client: AsyncOpenAI, provider: FakeProvider) -> None:
    provider.choose = lambda request: reply(f"You are {request.messages[-1]['content']}.", size=3)

    async def one(number: int) -> bool:
        messages: list[Any] = [{"role": "user", "content": f"number {number}"}]
        stream = await client.chat.completions.create(model="fake", messages=messages, stream=True)
        texts = [c.choices[0].delta.content or "" async for c in stream]
        return "".join(texts) == f"You are number {number}."

    assert all(await asyncio.gather(*(one(number) for number in range(AT_ONCE))))


async def test_too_many_at_once_are_told_to_wait(
    client: AsyncOpenAI, provider: FakeProvider
) -> None:
    provider.script(Script(Text("x"), Gate("all"), Finish()))
    streams = [
        await client.chat.completions.create(model="fake", messages=HELLO, stream=True)
        for _ in range(AT_ONCE)
    ]
    with pytest.raises(openai.RateLimitError) as caught:
        await client.chat.completions.create(model="fake", messages=HELLO)
    assert int(caught.value.response.headers["retry-after"]) > 0
    provider.open("all")
    for stream in streams:
        async with stream:
            assert [c.choices[0].finish_reason async for c in stream][-1] == "stop"


async def test_the_models_are_listed(client: AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == ["fake", "other"]
    assert (await client.models.retrieve("other")).id == "other"
    with pytest.raises(openai.NotFoundError) as caught:
        await client.models.retrieve("a/b")
    assert caught.value.code == "model_not_found"


async def test_the_transcript_is_on_record_like_any_other(
    caller: Caller, client: AsyncOpenAI, provider: FakeProvider
) -> None:
    provider.enqueue(reply("Good morning."))
    raw = await client.chat.completions.with_raw_response.create(
        model="fake", messages=[{"role": "system", "content": "Be brief."}, *HELLO]
    )
    identity = raw.headers["x-parley-conversation"]
    assert raw.headers["x-request-id"]
    path = f"/c/{identity}/"
    statuses = [
        (await asyncio.to_thread(caller.server.get, path, person))[0]
        for person in (caller.person, caller.server.administrator)
    ]
    assert statuses == [200, 404]
    key = identity.replace("-", "")
    rows = caller.rows(
        "SELECT role, text FROM chat_message WHERE conversation_id = ? ORDER BY id", key
    )
    assert rows == [("system", "Be brief."), ("user", "Hello?"), ("assistant", "Good morning.")]
    ((title, marked, request_id, sha256, verdict),) = caller.rows(
        "SELECT c.title, k.shown, g.request_id, r.sha256, r.verdict FROM chat_conversation c"
        " JOIN chat_apikey k ON k.id = c.api_key_id"
        " JOIN chat_generation g ON g.conversation_id = c.id"
        " JOIN chat_receipt r ON r.generation_id = g.id WHERE c.id = ?",
        key,
    )
    assert (title, marked) == ("Hello?", caller.key[: len(marked)])
    assert request_id == raw.headers["x-request-id"]
    assert (sha256, verdict) == (hashlib.sha256(b"Good morning.").hexdigest(), "passed")
