"""A turn over a real socket: its events, its outcome, its retries, its deadlines, its stop."""

import asyncio
import gc
import random
import time
from collections.abc import AsyncIterator
from email.utils import formatdate

import pytest
import pytest_asyncio

from chat.engine.events import (
    CallDelta,
    Event,
    FinishDelta,
    Outcome,
    ReasoningDelta,
    RefusalDelta,
    Requested,
    Retrying,
    TextDelta,
    Thought,
    UsageDelta,
)
from chat.engine.log import MemoryLog, StaleAttempt
from chat.engine.provider import Endpoint, Provider
from chat.engine.turn import CALLS, Deadlines
from tests.engine.running import KEY, asking, reasoning_of, run, start, text_of
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
    Step,
    Text,
    Usage,
    Wait,
    reply,
    tool_call,
)
from tests.streams import load

NOW = {"Retry-After": "0"}  # retries without the wait between them


@pytest_asyncio.fixture(autouse=True)
async def _nothing_is_left_behind(provider: FakeProvider, client: Provider) -> AsyncIterator[None]:
    """No task of the turn, no open stream at the provider."""
    yield
    await provider.eventually(lambda: not provider.open_streams)
    assert asyncio.all_tasks() == {asyncio.current_task()}


# What it says


async def test_a_reply_is_complete_and_its_events_are_its_text(
    client: Provider, provider: FakeProvider
) -> None:
    provider.script(reply("Grüße, 世界 😀", reasoning="Hm, wait."))
    done = await run(client)

    turn, events = done.turn, done.events
    assert (turn.outcome, turn.error) == (Outcome.COMPLETE, None)
    assert text_of(events) == turn.reply.text == "Grüße, 世界 😀"
    assert reasoning_of(events) == turn.reply.reasoning == "Hm, wait."
    assert turn.reply.finish_reason == "stop"
    assert turn.reply.usage == UsageDelta(10, turn.reply.pieces, None)
    assert events[0] == Requested(1)
    assert not [event for event in events if isinstance(event, UsageDelta | FinishDelta)]


async def test_the_thought_is_told_once_before_the_first_text(
    client: Provider, provider: FakeProvider
) -> None:
    provider.script(
        Script(Reasoning("Hm"), Wait(0.2), Reasoning("."), Text("Hi"), Reasoning("!"), Finish())
    )
    events = (await run(client)).events
    (thought,) = (event for event in events if isinstance(event, Thought))
    assert events.index(thought) == events.index(TextDelta("Hi")) - 1
    assert 150 < thought.duration_ms < 5_000


@pytest.mark.parametrize("answer", [reply("Hi"), Script(Text("Hi"), Reasoning("Hm"), Finish())])
async def test_text_that_was_not_thought_over_has_no_thought(
    client: Provider, provider: FakeProvider, answer: Script
) -> None:
    provider.script(answer)
    assert not [event for event in (await run(client)).events if isinstance(event, Thought)]


async def test_a_thought_and_its_text_may_come_at_once(
    client: Provider, provider: FakeProvider
) -> None:
    provider.script(Script(Chunk({"reasoning": "Hm", "content": "Hi"}), Finish()))
    _, thinking, thought, text = (await run(client)).events
    assert (thinking, text) == (ReasoningDelta("Hm"), TextDelta("Hi"))
    assert isinstance(thought, Thought)
    assert thought.duration_ms == 0


async def test_the_times_are_in_order(client: Provider, provider: FakeProvider) -> None:
    before = time.monotonic()
    provider.script(Script(Wait(0.05), Reasoning("Hm"), Wait(0.05), Text("Hi"), Finish(), Usage()))
    turn = (await run(client)).turn
    asked, first, text, last = (
        at or 0.0
        for at in (turn.requested_at, turn.first_delta_at, turn.first_text_at, turn.last_delta_at)
    )
    assert before < asked < first < text <= last < time.monotonic()
    assert first - asked >= 0.05


async def test_usage_and_role_are_no_first_token(client: Provider, provider: FakeProvider) -> None:
    provider.enqueue(
        Script(
            Chunk({"role": "assistant", "content": ""}),
            Usage(always=True),
            Chunk(raw={"error": {"code": 503, "message": "Busy."}}),
        )
    )
    provider.script(reply("Hi"))
    done = await run(client)
    assert (done.text, done.calls) == ("Hi", 2)


async def test_a_refusal_is_a_complete_reply(client: Provider, provider: FakeProvider) -> None:
    provider.script(Script(Refusal("I cannot.", size=100), Finish(), Done()))
    done = await run(client)
    assert done.turn.outcome == Outcome.COMPLETE
    assert done.events[1:] == [RefusalDelta("I cannot.")]


async def test_a_whole_completion_is_a_complete_reply(
    client: Provider, provider: FakeProvider
) -> None:
    body = {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}
    provider.script(Script(Status(200, body=body)))
    done = await run(client)
    assert (done.turn.outcome, done.text) == (Outcome.COMPLETE, "Hi")


# Which ends are complete


@pytest.mark.parametrize(
    "end",
    [
        (Finish(), Done()),
        (Finish("length"), Done()),
        (Finish("content_filter"), Done()),
        (Finish(),),  # no [DONE]
        (Finish(), Usage(), Cut()),
        (Finish(), Reset()),
        (Finish(), Finish("error"), Done()),
    ],
)
async def test_a_finish_reason_makes_a_reply_complete(
    client: Provider, provider: FakeProvider, end: tuple[Step, ...]
) -> None:
    provider.script(Script(Text("Hi"), *end))
    done = await run(client)
    assert (done.turn.outcome, done.text, done.kind) == (Outcome.COMPLETE, "Hi", "")


async def test_after_the_finish_reason_nobody_waits_for_the_rest(
    client: Provider, provider: FakeProvider
) -> None:
    provider.script(Script(Text("Hi"), Finish(), StallForever()))
    done = await run(client, deadlines=Deadlines(10, 0.2))
    assert (done.turn.outcome, done.text) == (Outcome.COMPLETE, "Hi")


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        ((), "empty"),
        ((Done(),), "empty"),
        ((Cut(),), "unreachable"),
        ((Reset(),), "unreachable"),
        ((Finish("error"), Done()), "provider"),
        ((Chunk(raw={"error": {"message": "It broke.", "code": 500}}),), "unavailable"),
        ((Chunk(raw={"error": "It broke."}), Finish(), Done()), "provider"),
        ((Chunk(raw={"message": "It broke.", "code": 429}, event="error"),), "rate_limited"),
        ((Chunk({}, raw=None, finish_reason=None), Raw(b"data: {bad\n\n")), "garbled"),
        ((Raw(b"data: 7\n\n"), Finish(), Done()), "garbled"),
    ],
)
@pytest.mark.parametrize("framing", ["chunked", "close"])
async def test_any_other_end_interrupts_keeps_the_text_and_is_not_retried(
    client: Provider,
    provider: FakeProvider,
    end: tuple[Step, ...],
    kind: str,
    framing: str,
) -> None:
    if framing == "close" and end in ((Cut(),), (Reset(),)):
        kind = "empty"  # the end of the connection, in whatever way, is the end of such a body
    provider.script(Script(Text("kept text"), *end).using(framing=framing))
    done = await run(client)
    assert done.turn.outcome == Outcome.INTERRUPTED
    assert done.text == text_of(done.events) == "kept text"
    assert (done.kind, done.calls) == (kind, 1)


@pytest.mark.parametrize("name", ["openrouter-error-beside-choices", "vllm-error-then-done"])
async def test_a_recorded_error_interrupts(
    client: Provider, provider: FakeProvider, name: str
) -> None:
    provider.script(Script(Raw(load(name))))
    done = await run(client)
    assert (done.turn.outcome, done.kind) == (Outcome.INTERRUPTED, "unavailable")


@pytest.mark.parametrize(
    "answer",
    [
        Script(Done()),
        Script(Comment(), Comment()),
        Script(Finish(), Usage(), Done()),
        Script(Text(" \n"), Finish(), Done()),
        Script(*tool_call("f", "{}"), Finish("tool_calls"), Done()),
        Script(Chunk(raw={"choices": None}), Finish("content_filter")),
    ],
)
async def test_an_empty_reply_is_failed_never_complete(
    client: Provider, provider: FakeProvider, answer: Script
) -> None:
    provider.script(answer)
    done = await run(client)
    assert (done.turn.outcome, done.kind, done.calls) == (Outcome.FAILED, "empty", 1)


async def test_thinking_without_text_is_interrupted(
    client: Provider, provider: FakeProvider
) -> None:
    provider.script(Script(Reasoning("Hm"), Finish("length"), Done()))
    done = await run(client)
    assert (done.turn.outcome, done.kind) == (Outcome.INTERRUPTED, "empty")
    assert "length" in str(done.turn.error)


async def test_a_call_of_a_tool_that_was_not_offered_is_harmless_noise(
    client: Provider, provider: FakeProvider
) -> None:
    provider.script(Script(Text("Hi"), *tool_call("f", "{}"), Finish()))
    done = await run(client)
    assert done.turn.outcome == Outcome.COMPLETE
    assert done.turn.reply.all_calls == []
    assert [event for event in done.events if isinstance(event, CallDelta)] == []


# Retries


@pytest.mark.parametrize("status", [401, 403, 400, 404, 422])
async def test_a_refusal_fails_at_once(
    client: Provider, provider: FakeProvider, status: int
) -> None:
    provider.script(Script(Status(status)))
    begun = time.monotonic()
    done = await run(client)
    assert time.monotonic() - begun < 2
    assert (done.turn.outcome, done.calls) == (Outcome.FAILED, 1)
    assert len(provider.streams) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_passing_trouble_is_tried_again(
    client: Provider, provider: FakeProvider, status: int
) -> None:
    provider.enqueue(Script(Status(status, NOW)), Script(Status(status, NOW)))
    done = await run(client)
    assert (done.turn.outcome, done.text) == (Outcome.COMPLETE, "All is well.")
    kind = "rate_limited" if status == 429 else "unavailable"
    assert done.events[:5] == [
        Requested(1),
        Retrying(0.0, kind),
        Requested(2),
        Retrying(0.0, kind),
        Requested(3),
    ]


async def test_three_calls_are_the_most(client: Provider, provider: FakeProvider) -> None:
    provider.script(Script(Status(503, NOW)))
    done = await run(client)
    assert (done.turn.outcome, done.kind) == (Outcome.FAILED, "unavailable")
    assert done.calls == done.turn.calls == len(provider.streams) == CALLS == 3


async def test_a_refused_connection_is_tried_three_times_with_growing_waits(
    provider: FakeProvider,
) -> None:
    with FakeProvider() as gone:
        url = gone.base_url
    client = Provider(lambda: Endpoint(url, KEY))
    begun = time.monotonic()
    done = await run(client)
    await client.close()
    assert time.monotonic() - begun < 30
    assert (done.turn.outcome, done.kind, done.calls) == (Outcome.FAILED, "unreachable", 3)
    waits = [event.delay_s for event in done.events if isinstance(event, Retrying)]
    assert len(waits) == 2
    assert 0.4 <= waits[0] <= 0.6
    assert 1.6 <= waits[1] <= 2.4


@pytest.mark.parametrize("end", [Cut(), Reset()])
async def test_a_connection_that_breaks_before_the_first_token_is_tried_again(
    client: Provider, provider: FakeProvider, end: Step
) -> None:
    role = Chunk({"role": "assistant", "content": ""})
    provider.enqueue(Script(Headers(), role, end))
    done = await run(client)
    assert (done.turn.outcome, done.calls) == (Outcome.COMPLETE, 2)


@pytest.mark.parametrize("token", [Text("H"), Reasoning("H"), Refusal("H")])
async def test_after_any_token_nothing_is_tried_again(
    client: Provider, provider: FakeProvider, token: Step
) -> None:
    provider.script(Script(token, Chunk(raw={"error": {"code": 503, "message": "Busy."}})))
    done = await run(client)
    assert (done.turn.outcome, done.calls) == (Outcome.INTERRUPTED, 1)


async def test_a_failed_call_lends_nothing_to_the_next(
    client: Provider, provider: FakeProvider
) -> None:
    busy = Chunk(raw={"error": {"code": 503, "message": "Busy."}})
    provider.enqueue(Script(Finish(), Usage(always=True), busy), Script(Text("Hi")))
    done = await run(client)
    assert (done.turn.outcome, done.kind) == (Outcome.INTERRUPTED, "empty")
    assert done.turn.reply.usage is None


async def test_a_call_is_not_repeated_earlier_than_the_provider_says(
    client: Provider, provider: FakeProvider
) -> None:
    provider.enqueue(Script(Status(429, {"Retry-After": "1"})))
    done = await run(client)
    first, second = provider.streams
    assert done.turn.outcome == Outcome.COMPLETE
    assert second.received_at - first.received_at >= 1
    assert Retrying(1.0, "rate_limited") in done.events


async def test_a_date_to_retry_after_is_kept(client: Provider, provider: FakeProvider) -> None:
    date = int(time.time()) + 2
    provider.enqueue(Script(Status(503, {"Retry-After": formatdate(date, usegmt=True)})))
    done = await run(client)
    assert time.time() >= date - 0.05  # another clock than the one that slept
    assert (done.turn.outcome, done.calls) == (Outcome.COMPLETE, 2)


async def test_a_provider_that_wants_more_than_a_minute_is_not_waited_for(
    client: Provider, provider: FakeProvider
) -> None:
    provider.enqueue(Script(Status(429, {"Retry-After": "60.5"})))
    done = await run(client)
    assert (done.turn.outcome, done.kind, done.calls) == (Outcome.FAILED, "rate_limited", 1)


# Deadlines


@pytest.mark.parametrize(
    "silence",
    [
        (StallForever(),),
        (Headers(), StallForever()),
        (Chunk({"role": "assistant", "content": ""}), StallForever()),
        (Raw(b": keep-alive\n\n"), StallForever()),
        (Raw(b"data: {"), StallForever()),
    ],
)
async def test_no_token_in_time_fails_without_a_retry(
    client: Provider, provider: FakeProvider, silence: tuple[Step, ...]
) -> None:
    provider.script(Script(*silence))
    begun = time.monotonic()
    done = await run(client, deadlines=Deadlines(0.3, 10))
    assert 0.3 <= time.monotonic() - begun < 5
    assert (done.turn.outcome, done.kind, done.calls) == (Outcome.FAILED, "timed_out", 1)
    assert "no token" in str(done.turn.error)
    await asyncio.to_thread(provider.streams[0].wait_closed, 1)


async def test_keep_alives_do_not_move_the_first_deadline(
    client: Provider, provider: FakeProvider
) -> None:
    beats = [step for _ in range(100) for step in (Comment(), Wait(0.05))]
    provider.script(Script(*beats))
    done = await run(client, deadlines=Deadlines(0.3, 10))
    assert (done.turn.outcome, done.kind) == (Outcome.FAILED, "timed_out")


async def test_silence_after_the_first_token_interrupts_and_keeps_the_text(
    client: Provider, provider: FakeProvider
) -> None:
    provider.script(Script(Text("Hi"), StallForever()))
    begun = time.monotonic()
    done = await run(client, deadlines=Deadlines(10, 0.3))
    assert 0.3 <= time.monotonic() - begun < 5
    assert (done.turn.outcome, done.kind, done.calls) == (Outcome.INTERRUPTED, "timed_out", 1)
    assert done.text == "Hi"
    assert "no byte" in str(done.turn.error)
    await asyncio.to_thread(provider.streams[0].wait_closed, 1)


@pytest.mark.parametrize("sign", [Comment(), Chunk({}), Raw(b": "), Raw(b"\n")])
async def test_any_byte_after_the_first_token_is_a_sign_of_life(
    client: Provider, provider: FakeProvider, sign: Step
) -> None:
    beats = [step for _ in range(6) for step in (Wait(0.2), sign)]
    provider.script(Script(Text("Hi"), *beats, Raw(b"\n\n"), Finish(), Done()))
    done = await run(client, deadlines=Deadlines(0.9, 0.9))
    assert (done.turn.outcome, done.kind) == (Outcome.COMPLETE, "")


async def test_a_slow_reply_may_take_longer_than_either_deadline(
    client: Provider, provider: FakeProvider
) -> None:
    provider.script(reply("x" * 30, size=1, rate=20))
    done = await run(client, deadlines=Deadlines(0.8, 0.8))
    assert (done.turn.outcome, len(done.text)) == (Outcome.COMPLETE, 30)


# Stop


@pytest.mark.parametrize(
    "before",
    [
        (),
        (Headers(),),
        (Chunk({"role": "assistant", "content": ""}),),
        (Reasoning("Hm"),),
        (Text("Some text"),),
        (Text("Some text"), Finish()),
    ],
)
async def test_a_stop_closes_the_connection_and_keeps_the_text(
    client: Provider, provider: FakeProvider, before: tuple[Step, ...]
) -> None:
    provider.script(Script(*before, Gate("never")))
    turn = start(client)
    await asyncio.to_thread(provider.wait_at_gate, "never")
    (request,) = provider.streams
    expected = "".join(step.text for step in before if type(step) is Text)
    await turn.until(lambda: turn.text == expected)

    stopped_at = time.monotonic()
    await turn.cancel()

    assert await asyncio.to_thread(request.wait_closed) - stopped_at < 1
    assert turn.text == text_of(turn.events) == expected
    assert (turn.turn.outcome, turn.turn.error) == (None, None)


async def test_a_stop_while_text_flows_keeps_exactly_what_was_logged(
    client: Provider, provider: FakeProvider
) -> None:
    provider.script(Script(Bench(tokens=100_000, rate=2_000)))
    turn = start(client)
    await turn.until(lambda: turn.turn.reply.pieces > 50)

    stopped_at = time.monotonic()
    await turn.cancel()

    closed_at = await asyncio.to_thread(provider.streams[0].wait_closed)
    assert closed_at - stopped_at < 1
    assert turn.text == text_of(turn.events) != ""


async def test_a_stop_before_the_call_began_calls_nobody(
    client: Provider, provider: FakeProvider
) -> None:
    turn = start(client)
    await turn.cancel()
    assert provider.requests == []
    assert turn.events == []


async def test_a_stop_ends_the_wait_between_two_calls(
    client: Provider, provider: FakeProvider
) -> None:
    provider.script(Script(Status(429, {"Retry-After": "60"})))
    turn = start(client)
    await turn.until(lambda: Retrying(60.0, "rate_limited") in turn.events)

    stopped_at = time.monotonic()
    await turn.cancel()

    assert time.monotonic() - stopped_at < 1
    assert len(provider.streams) == 1


async def test_a_producer_that_lost_its_claim_stops_and_leaves_the_connection(
    client: Provider, provider: FakeProvider
) -> None:
    provider.script(Script(Text("Hi"), Gate("go"), Text("zombie"), Gate("never")))
    turn = start(client)
    await turn.until(lambda: turn.text == "Hi")
    turn.log.open(turn.number, 2)
    provider.open("go")
    with pytest.raises(StaleAttempt):
        await turn.task
    await asyncio.to_thread(provider.streams[0].wait_closed, 1)
    assert text_of(turn.events) == "Hi"


# Many at once


async def test_fifty_streams_with_random_stops_do_not_mix(
    client: Provider, provider: FakeProvider
) -> None:
    chance = random.Random(4)
    words = {n: "".join(f"<{n}.{i}>" for i in range(60)) for n in range(50)}
    lives = {n: chance.choice([chance.randrange(0, 50), None]) for n in words}  # events until stop
    provider.choose = lambda asked: reply(
        words[int(asked.messages[0]["content"])], size=6, rate=chance.choice([0, 100, 400])
    )
    log = MemoryLog()
    turns = {n: start(client, asking(str(n)), log=log, number=n) for n in words}

    async def live(n: int, events: int | None) -> None:
        turn = turns[n]
        if events is None:
            await turn.task
        else:
            await turn.until(lambda: turn.task.done() or len(turn.events) > events)
            turn.task.cancel()
            await asyncio.wait([turn.task])

    async with asyncio.timeout(30):
        await asyncio.gather(*(live(n, events) for n, events in lives.items()))

    for n, turn in turns.items():
        assert words[n].startswith(turn.text)
        assert turn.text == text_of(turn.events)
        assert turn.task.cancelled() or turn.text == words[n]
    stopped = sum(turn.task.cancelled() for turn in turns.values())
    assert 5 < stopped < 45
    for n in words:
        log.drop(n)
    assert len(log) == 0
    await provider.eventually(lambda: not provider.open_streams)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_after_stops_the_client_still_works(client: Provider, provider: FakeProvider) -> None:
    for steps in ((), (Headers(),), (Text("x"),)):
        provider.enqueue(Script(*steps, StallForever()))
    for number in range(3):
        turn = start(client)
        await provider.eventually(lambda number=number: len(provider.streams) > number)  # type: ignore[misc]
        await turn.cancel()
    assert (await run(client)).text == "All is well."
    gc.collect()  # a transport that nobody closed would warn here, and a warning is an error


def test_events_are_values() -> None:
    event: Event = TextDelta("x")
    assert event == TextDelta("x")
    with pytest.raises(AttributeError):
        event.text = "y"  # type: ignore[misc]
