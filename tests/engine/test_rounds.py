"""Rounds of tool calls: what is asked, what is run, how it ends."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from chat.engine.events import CallDelta, CallStep, Outcome, Requested, Step, UsageDelta
from chat.engine.provider import Provider
from chat.engine.request import Dialect, Request
from chat.engine.tool_calls import Call
from chat.engine.toolbox import Move
from chat.engine.turn import ROUNDS, UNFINISHED
from tests.engine.running import Run, start
from tests.fake_provider import (
    Cut,
    Done,
    FakeProvider,
    Finish,
    Gate,
    Script,
    Status,
    Text,
    Usage,
    tool_call,
)

ADD = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
CALL = tool_call("add", '{"a": 1}')
CALLS = Script(Text("Let me see."), *CALL, Usage(10, 5), Finish("tool_calls"), Done())
ANSWER = Script(Text("It is 2."), Usage(20, 7), Finish(), Done())


class Box:
    """Adds one, unless told otherwise."""

    def __init__(self, run: Callable[[Call], str] | None = None) -> None:
        self.ran: list[dict[str, Any] | None] = []
        self.run_one = run or (lambda call: str((call.parsed or {})["a"] + 1))
        self.gate: asyncio.Event | None = None

    async def run(self, calls: Sequence[Call], move: Move) -> None:
        for call in calls:
            if call.problem:
                move(call, Step.INVALID, call.problem, None)
                continue
            move(call, Step.RUNNING, "", None)
            if self.gate is not None:
                await self.gate.wait()
            self.ran.append(call.parsed)
            move(call, Step.DONE, self.run_one(call), 1.0)


def asking(**more: Any) -> Request:
    return Request("fake", ({"role": "user", "content": "1 + 1?"},), tools=(ADD,), **more)


async def done(client: Provider, box: Box | None, request: Request | None = None) -> Run:
    run = start(client, request or asking(), toolbox=box)
    async with asyncio.timeout(30):
        await run.task
    return run


async def test_a_call_is_run_and_its_result_goes_back(
    client: Provider, provider: FakeProvider
) -> None:
    provider.enqueue(CALLS, ANSWER)
    run = await done(client, Box())
    assert (run.turn.outcome, run.text) == (Outcome.COMPLETE, "Let me see.\n\nIt is 2.")
    assert provider.streams[1].body["messages"] == [
        {"role": "user", "content": "1 + 1?"},
        {
            "role": "assistant",
            "content": "Let me see.",
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "add", "arguments": '{"a": 1}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "2"},
    ]
    (call,) = run.turn.reply.all_calls
    assert (call.step, call.result, call.offset) == (Step.DONE, "2", 11)
    assert run.turn.reply.usage == UsageDelta(30, 12, None)
    assert run.turn.requested_at is not None
    assert run.turn.first_delta_at is not None
    assert run.turn.requested_at < run.turn.first_delta_at
    assert run.calls == 2


async def test_who_follows_sees_the_call_as_it_is_written_and_run(
    client: Provider, provider: FakeProvider
) -> None:
    provider.enqueue(CALLS, ANSWER)
    run = await done(client, Box())
    deltas = [e for e in run.events if isinstance(e, CallDelta)]
    assert deltas[0] == CallDelta(0, "add", "", "call_1")
    assert "".join(e.arguments for e in deltas) == '{"a": 1}'
    steps = [e for e in run.events if isinstance(e, CallStep | Requested)]
    assert steps == [
        Requested(1),
        CallStep(0, Step.RUNNING),
        CallStep(0, Step.DONE, "2", 1.0),
        Requested(2),
    ]


async def test_arguments_that_are_none_are_not_run_and_the_model_hears_why(
    client: Provider, provider: FakeProvider
) -> None:
    bad = Script(*tool_call("add", '{"a": '), Finish("tool_calls"), Done())
    provider.enqueue(bad, ANSWER)
    box = Box()
    run = await done(client, box)
    assert box.ran == []
    assert run.turn.reply.all_calls[0].step is Step.INVALID
    assert "JSON object" in provider.streams[1].body["messages"][-1]["content"]
    assert run.turn.outcome == Outcome.COMPLETE


async def test_a_call_that_the_length_limit_cut_is_not_run(
    client: Provider, provider: FakeProvider
) -> None:
    provider.enqueue(Script(*CALL, Finish("length"), Done()))
    box = Box()
    run = await done(client, box)
    assert (run.turn.outcome, box.ran) == (Outcome.COMPLETE, [])
    assert run.turn.reply.all_calls[0].step is Step.STOPPED


async def test_rounds_come_to_an_end(client: Provider, provider: FakeProvider) -> None:
    provider.script(CALLS)
    run = await done(client, Box(), asking(tool_choice="required"))
    choices = [request.body.get("tool_choice") for request in provider.streams]
    # What had to be used is used once; who called enough is not asked to call again.
    assert choices[0] == "required"
    assert choices[1:ROUNDS] == [None] * (ROUNDS - 1)
    assert choices[ROUNDS] == "none"
    assert len(run.turn.reply.all_calls) == ROUNDS
    assert run.turn.outcome == Outcome.COMPLETE


async def test_a_later_round_is_tried_again_before_its_first_token_only(
    client: Provider, provider: FakeProvider
) -> None:
    provider.enqueue(CALLS, Script(Status(503, {"Retry-After": "0"})), ANSWER)
    run = await done(client, Box())
    assert (run.turn.outcome, run.calls) == (Outcome.COMPLETE, 3)
    assert len(run.turn.reply.all_calls) == 1


async def test_a_round_that_breaks_keeps_what_there_is(
    client: Provider, provider: FakeProvider
) -> None:
    provider.enqueue(CALLS, Script(Text("It"), Cut()))
    run = await done(client, Box())
    assert (run.turn.outcome, run.text) == (Outcome.INTERRUPTED, "Let me see.\n\nIt")


async def test_stop_ends_what_runs(client: Provider, provider: FakeProvider) -> None:
    provider.enqueue(CALLS)
    box = Box()
    box.gate = asyncio.Event()
    run = start(client, asking(), toolbox=box)
    await run.until(lambda: CallStep(0, Step.RUNNING) in run.events)
    await run.cancel()
    assert run.events[-1] == CallStep(0, Step.STOPPED, UNFINISHED)
    assert run.turn.reply.all_calls[0].step is Step.STOPPED
    assert len(provider.streams) == 1


async def test_stop_in_the_middle_of_the_arguments(
    client: Provider, provider: FakeProvider
) -> None:
    provider.enqueue(Script(*CALL[:2], Gate("never")))
    run = start(client, asking(), toolbox=Box())
    await run.until(lambda: any(isinstance(e, CallDelta) for e in run.events))
    await run.cancel()
    assert run.turn.reply.all_calls[0].step is Step.STOPPED


async def test_without_a_toolbox_the_calls_are_the_reply(
    client: Provider, provider: FakeProvider
) -> None:
    provider.enqueue(Script(*CALL, Finish("tool_calls"), Done()))
    run = await done(client, None)
    assert (run.turn.outcome, run.turn.reply.finish_reason) == (Outcome.COMPLETE, "tool_calls")
    assert run.turn.reply.all_calls[0].step is Step.PASSED_ON


@pytest.mark.parametrize(
    "message", ["fake does not support tools", "Unrecognized request argument supplied: tools"]
)
async def test_an_endpoint_without_tools_answers_without(
    client: Provider, provider: FakeProvider, message: str
) -> None:
    refused = Script(Status(400, body={"error": {"message": message}}))
    provider.enqueue(refused, ANSWER)
    run = await done(client, Box())
    assert (run.turn.outcome, run.text) == (Outcome.COMPLETE, "It is 2.")
    assert "tools" not in provider.streams[1].body
    # Who asked for them himself is told instead.
    provider.enqueue(refused)
    run = await done(client, None, replace(asking(), model="other", exact=True))
    assert (run.turn.outcome, run.kind, run.calls) == (Outcome.FAILED, "refused", 1)


@pytest.mark.parametrize(
    "message",
    [
        "This response_format type is unavailable now",
        "'response_format.type' must be 'json_schema' or 'text'",
        "Invalid schema for response_format 'answer': 'additionalProperties' is required",
        "Structured outputs are not supported with this model",
    ],
)
async def test_a_form_is_asked_for_in_the_next_best_way(
    client: Provider, provider: FakeProvider, message: str
) -> None:
    refused = Script(Status(400, body={"error": {"message": message}}))
    provider.enqueue(refused, refused, Script(Text("{}"), Finish(), Done()))
    schema = {"type": "object", "title": "Of a form"}
    messages = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "1 + 1?"})
    run = await done(client, None, Request("fake", messages, schema=schema))
    assert run.turn.outcome == Outcome.COMPLETE
    first, second, third = (request.body for request in provider.streams)
    assert first["response_format"]["json_schema"]["schema"] == schema
    assert first["messages"][0]["content"] == "Be brief."
    assert second["response_format"] == {"type": "json_object"}
    assert "response_format" not in third
    for body in (second, third):
        assert body["messages"][0]["content"].startswith("Be brief.\n\n")
        assert '"Of a form"' in body["messages"][0]["content"]
    # It is remembered.
    provider.enqueue(Script(Text("{}"), Finish(), Done()))
    await done(client, None, Request("fake", messages[1:], schema=schema))
    assert [m["role"] for m in provider.streams[3].body["messages"]] == ["system", "user"]


STRICT = {
    "type": "object",
    "properties": {"a": {"type": "array", "items": {"type": "string"}}},
    "required": ["a"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (STRICT, True),
        ({**STRICT, "required": []}, False),
        ({**STRICT, "additionalProperties": True}, False),
        ({"type": "object"}, False),
        ({**STRICT, "properties": {"a": {"type": "object"}}}, False),
        ({**STRICT, "properties": {"a": {"anyOf": [STRICT, {"type": "null"}]}}}, True),
    ],
)
def test_the_strict_mode_is_for_schemas_that_keep_to_it(
    schema: dict[str, Any], strict: bool
) -> None:
    body = Dialect().body(Request("fake", (), schema=schema), stream=True)
    assert body["response_format"]["json_schema"]["strict"] is strict
