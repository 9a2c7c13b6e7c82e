"""Tool calls whose arguments are still being written are on record as far as they were shown."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from django.db import OperationalError
from django.test import Client

from chat import sweeper
from chat.database import in_database
from chat.engine.events import Step, TextDelta, ToolCallDelta
from chat.engine.provider import Endpoint, Provider
from chat.engine.reply import Reply
from chat.models import Generation, Message, State, ToolCall, User
from chat.services import Services
from chat.tools import record
from chat.worker.claim import Job, claim
from chat.worker.writer import Writer
from tests.conftest import make_user
from tests.fake_provider import Done, FakeProvider, Finish, Gate, Script, Text, tool_call
from tests.support import eventually
from tests.talk import ask
from tests.test_assisted_replies import ask as ask_assistant
from tests.test_pipeline import ended

ARGUMENTS = '{"expression": "6 * 7"}'
HALF = '{"expression": "6 * '


@pytest_asyncio.fixture
async def nobody() -> AsyncIterator[Provider]:
    """A provider that nobody should ask."""
    provider = Provider(lambda: Endpoint("http://127.0.0.1:9", ""))
    yield provider
    await provider.close()


def _row(conversation: uuid.UUID) -> ToolCall | None:
    rows = ToolCall.objects.filter(message__conversation=conversation)
    return rows.select_related("message").first()


async def test_half_a_call_outlives_who_wrote_it(
    running: Services,
    provider: FakeProvider,
    nobody: Provider,
    sign_in: Callable[[User], Client],
) -> None:
    opening = tool_call("calculator", ARGUMENTS)
    provider.enqueue(
        Script(Text("Let me see."), *opening[:6], Gate("rest"), *opening[6:], Gate("never"),
               Finish("tool_calls"), Done())
    )  # fmt: skip
    user, conversation = await ask_assistant(tools=["calculator"])

    async def half() -> ToolCall | None:
        row = await in_database(_row, conversation)
        return row if row is not None and row.arguments == HALF else None

    row = await eventually(half)
    assert (row.state, row.message.text, row.offset) == ("written", "Let me see.", 11)
    # Its worker is dead, for all that anybody else knows; in truth it goes on.
    await sweeper.sweep(nobody, sweeper.Orphans("somebody else"))
    provider.open("rest")
    await provider.eventually(lambda: not provider.open_streams)
    await eventually(lambda: _is_idle(running))
    generation = await ended(conversation)
    assert (generation.state, generation.stop_reason) == (State.INTERRUPTED, "orphaned")
    call = await in_database(_row, conversation)
    assert call is not None
    assert (call.state, call.arguments) == ("stopped", HALF)

    def page() -> str:
        return sign_in(user).get(f"/c/{conversation}/").content.decode()

    shown = await in_database(page)
    card = shown[shown.index(f'id="call-{call.message_id}-0"') :]
    assert "6 * " in card
    assert "Stopped" in card
    assert "Preparing" not in shown


async def _is_idle(running: Services) -> bool:
    return running.worker is not None and running.worker.running == 0


def _claimed() -> Job:
    ask(make_user("ada"))
    job = claim("me")
    assert job is not None
    return job


@pytest_asyncio.fixture
async def job(transactional_db: None) -> Job:
    return await in_database(_claimed)


def _rows() -> list[tuple[Any, ...]]:
    return list(ToolCall.objects.values_list("number", "round", "name", "arguments", "state"))


def _text() -> str:
    return Message.objects.get(role="assistant").text


async def test_only_what_has_grown_is_written(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most replies have no calls, and pay nothing for those that have."""
    keep, kept = record.keep_growing, list[list[int]]()

    def keep_and_tell(claim: record.Claim, rows: list[ToolCall]) -> None:
        kept.append([row.number for row in rows])
        keep(claim, rows)

    monkeypatch.setattr(record, "keep_growing", keep_and_tell)
    writer, reply = Writer(), Reply()
    writer.watch(job, reply)
    reply.feed(TextDelta("Let me see."))
    await writer.flush(beat=True)
    assert (kept, await in_database(_text)) == ([], "Let me see.")
    reply.feed(ToolCallDelta(index=0, id="a", name="one", arguments="{"))
    reply.feed(ToolCallDelta(index=1, id="b", name="two", arguments="{"))
    await writer.flush()
    await writer.flush(beat=True)
    reply.feed(ToolCallDelta(index=1, id=None, name=None, arguments='"a": 1'))
    await writer.flush()
    assert kept == [[0, 1], [1]]
    assert await in_database(_rows) == [
        (0, 1, "one", "{", "written"),
        (1, 1, "two", '{"a": 1', "written"),
    ]
    # From here on whoever runs them keeps them.
    for call in reply.close_calls():
        call.step, call.id = Step.RUNNING, call.id + "2"
    await writer.flush()
    reply.next_round()
    reply.feed(ToolCallDelta(index=0, id="c", name="three", arguments="{"))
    await writer.flush()
    assert kept == [[0, 1], [1], [2]]
    assert (await in_database(_rows))[-1] == (2, 2, "three", "{", "written")


@pytest.mark.parametrize("lost", [{"attempt": 2}, {"state": State.INTERRUPTED}])
async def test_neither_text_nor_calls_of_a_lost_claim_are_written(
    job: Job, lost: dict[str, Any]
) -> None:
    writer, reply = Writer(), Reply()
    writer.watch(job, reply)
    reply.feed(TextDelta("Let me see."))
    reply.feed(ToolCallDelta(index=0, id="a", name="one", arguments="{"))

    def lose() -> None:
        Generation.objects.filter(pk=job.generation_id).update(**lost)

    await in_database(lose)
    await writer.flush()
    assert (await in_database(_rows), await in_database(_text)) == ([], "")


async def test_what_the_database_refused_is_written_the_next_time(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise OperationalError("away")

    writer, reply = Writer(), Reply()
    writer.watch(job, reply)
    reply.feed(ToolCallDelta(index=0, id="a", name="one", arguments="{"))
    with monkeypatch.context() as patched:
        patched.setattr(record, "keep_growing", away)
        with pytest.raises(OperationalError):
            await writer.flush()
    await writer.flush()
    assert await in_database(_rows) == [(0, 1, "one", "{", "written")]


async def test_what_grows_while_it_is_being_written_is_written_the_next_time(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, reply = Writer(), Reply()
    writer.watch(job, reply)
    reply.feed(ToolCallDelta(index=0, id="a", name="one", arguments="{"))
    flushing = asyncio.create_task(writer.flush())
    await asyncio.sleep(0)  # it is in the thread now
    reply.feed(ToolCallDelta(index=0, id=None, name=None, arguments='"a"'))
    await flushing
    assert (await in_database(_rows))[0][3] == "{"
    await writer.flush()
    assert (await in_database(_rows))[0][3] == '{"a"'
