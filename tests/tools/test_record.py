"""Tool calls as rows: who may write them, and what becomes of those that nobody ends."""

import uuid
from typing import Any

import pytest

from chat import actions
from chat.engine.events import Step
from chat.engine.tool_calls import Call
from chat.engine.turn import UNFINISHED
from chat.models import Decision, Generation, Message, State, ToolCall, User
from chat.tools import record
from tests.talk import talk


@pytest.fixture
def claim(ada: User) -> record.Claim:
    """Of a reply that is being written."""
    message = talk(ada, "Let me see.")[2]
    Generation.objects.filter(message=message).update(state=State.STREAMING, attempt=1)
    return record.Claim(message.pk, Generation.objects.get(message=message).pk, 1)


def call(arguments: str, step: Step = Step.WRITTEN, **fields: Any) -> Call:
    made = Call(**{"number": 0, "name": "calculator", "id": "c0", "step": step} | fields)
    made.write(arguments)
    return made


def growing(claim: record.Claim, *calls: Call) -> None:
    record.keep_growing(claim, record.rows_of(claim.message_id, calls))


LOST = [{"attempt": 2}, {"state": State.INTERRUPTED}, {"state": State.COMPLETE}]


@pytest.mark.parametrize("lost", LOST)
def test_calls_of_a_lost_claim_are_refused(claim: record.Claim, lost: dict[str, Any]) -> None:
    assert record.keep_claimed(claim, [call('{"expression": "1')])
    Generation.objects.filter(pk=claim.generation_id).update(**lost)
    assert not record.keep_claimed(claim, [call('{"expression": "1 + 1"}', Step.DONE)])
    growing(claim, call('{"expression": "1 + 1'), call("{", number=1))
    row = ToolCall.objects.get()
    assert (row.arguments, row.state) == ('{"expression": "1', "written")


def test_a_growing_call_grows_in_its_row(claim: record.Claim) -> None:
    growing(claim, call('{"expr'))
    growing(claim, call('{"expression": "1'), call("{", number=1))
    rows = ToolCall.objects.values_list("number", "arguments", "state")
    assert list(rows) == [(0, '{"expression": "1', "written"), (1, "{", "written")]


@pytest.mark.parametrize("step", Step)
def test_what_its_runner_wrote_is_not_overwritten_by_what_is_older(
    claim: record.Claim, step: Step
) -> None:
    """Else a call that waits for its user could not be decided on any more."""
    older = record.rows_of(claim.message_id, [call('{"expression": "1')])
    whole = call('{"expression": "1"}', step)
    whole.close()
    assert record.keep_claimed(claim, [whole])
    record.keep_growing(claim, older)
    row = ToolCall.objects.get()
    assert (row.arguments, row.state) == ('{"expression": "1"}', step)


def test_a_call_that_was_cut_has_an_id_to_be_answered_by(claim: record.Claim) -> None:
    growing(claim, call("{", id="", number=2, round=3))
    assert ToolCall.objects.get().call_id == "call_3_2"


def test_what_nobody_ends_any_more_has_been_stopped(claim: record.Claim) -> None:
    steps = list(Step)
    calls = [call("{}", step, number=n, result="") for n, step in enumerate(steps)]
    record.keep_claimed(claim, calls)
    record.stop_open(claim.message_id)
    rows = dict(zip(steps, ToolCall.objects.order_by("number"), strict=True))
    for step in (Step.WRITTEN, Step.WAITING):
        assert (rows[step].state, rows[step].result) == ("stopped", "")
    running = rows.pop(Step.RUNNING)
    assert (running.state, running.result) == ("stopped", UNFINISHED)
    assert all(row.state == step for step, row in rows.items() if step.last)


def _decide(user: User, message: Message) -> bool:
    identity: uuid.UUID = message.conversation_id
    return actions.decide(user, identity, message.pk, 0, Decision.APPROVED)


@pytest.mark.parametrize("state", [s for s in State if s is not State.STREAMING])
def test_a_call_of_a_reply_that_is_over_is_not_decided_on(
    claim: record.Claim, ada: User, state: State
) -> None:
    """Its row may still wait: nobody came to end it."""
    record.keep_claimed(claim, [call("{}", Step.WAITING)])
    generations = Generation.objects.filter(pk=claim.generation_id)
    generations.update(state=state)
    message = Message.objects.get(pk=claim.message_id)
    before = ToolCall.objects.values().get()
    assert _decide(ada, message) is False
    assert ToolCall.objects.values().get() == before
    assert (before["decision"], before["decided_at"]) == ("", None)
    generations.update(state=State.STREAMING)
    assert _decide(ada, message) is True
