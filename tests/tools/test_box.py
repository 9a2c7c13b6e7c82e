"""What becomes of calls: run, refused, asked about, cut off, on record in every case."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError

from chat.database import in_database
from chat.engine.events import Step
from chat.engine.tool_calls import Call
from chat.models import Generation, Message, State, ToolCall
from chat.tools import box, record
from chat.tools.base import Context, InvalidArguments, Tool, ToolFailed
from chat.tools.box import RESULT_CHARS, Box, open_box
from tests.conftest import make_user
from tests.support import eventually
from tests.talk import talk


class Fake(Tool):
    """Does what its name says."""

    def check(self, arguments: dict[str, Any]) -> None:
        if not isinstance(arguments.get("a"), int):
            raise InvalidArguments("a: a number")

    async def run(self, arguments: dict[str, Any], context: Context) -> str:
        log: list[str] = context.sessions.log  # type: ignore[attr-defined]
        log.append(f"begin {self.name}")
        try:
            if self.name == "fails":
                raise ToolFailed("Not today.")
            if self.name == "crashes":
                raise RuntimeError("the password is hunter2")
            if self.name == "stalls":
                await asyncio.Event().wait()
            if self.name in {"slow", "alone"}:
                await asyncio.sleep(0.05)
            if self.name == "long":
                return "x" * (RESULT_CHARS + 1)
            if self.name == "odd":
                return "a\0b\ud800"
            return str(arguments["a"] + 1)
        finally:
            log.append(f"end {self.name}")


def fake(name: str) -> Fake:
    return Fake(
        name=name,
        title=name,
        description=name,
        parameters={"type": "object"},
        timeout_s=0.3,
        parallel=name != "alone",
    )


NAMES = ("add", "fails", "crashes", "stalls", "slow", "alone", "long", "odd")
Move = tuple[int, Step, str]


class Run:
    def __init__(self, message: Message, approvals: frozenset[str] = frozenset()) -> None:
        self.message, self.news = message, asyncio.Event()
        self.moves: list[Move] = []
        tools = [fake(name) for name in NAMES]
        claim = record.Claim(message.pk, message.generation.pk, message.generation.attempt)
        self.box: Box = open_box(claim, 1, message.conversation_id, tools, approvals, self.news)
        self.log: list[str] = []
        self.box._context.sessions.log = self.log  # type: ignore[attr-defined]

    def move(self, call: Call, step: Step, result: str, took: float | None) -> None:
        call.step, call.result, call.duration_ms = step, result, took
        self.moves.append((call.number, step, result))

    async def __call__(self, *calls: Call) -> list[Move]:
        async with asyncio.timeout(10), self.box:
            await self.box.run(calls, self.move)
        return [move for move in self.moves if move[1].last]


def call(name: str, arguments: str = '{"a": 1}', number: int = 0) -> Call:
    made = Call(number, id=f"c{number}", name=name)
    made.write(arguments)
    made.close()
    return made


def _message() -> Message:
    """One that is being written."""
    message = talk(make_user("ada"))[2]
    Generation.objects.filter(message=message).update(state=State.STREAMING, attempt=1)
    return Message.objects.select_related("generation").get(pk=message.pk)


@pytest.fixture
async def message(transactional_db: None) -> Message:
    return await in_database(_message)


def _row(message: Message, number: int = 0) -> ToolCall:
    return ToolCall.objects.get(message=message, number=number)


@pytest.mark.parametrize(
    ("made", "step", "words"),
    [
        (lambda: call("add"), Step.DONE, "2"),
        (lambda: call("fails"), Step.FAILED, "Not today."),
        (lambda: call("crashes"), Step.FAILED, "The tool failed."),
        (lambda: call("stalls"), Step.FAILED, "did not finish within 0.3 s"),
        (lambda: call("add", '{"a": "x"}'), Step.INVALID, "a: a number"),
        (lambda: call("add", '{"a": '), Step.INVALID, "not a JSON object"),
        (lambda: call("nothing"), Step.INVALID, "There is no tool 'nothing'"),
        (lambda: call("long"), Step.DONE, "[cut: 20,001 characters in all]"),
        (lambda: call("odd"), Step.DONE, "a\ufffdb\ufffd"),
    ],
)
async def test_every_call_comes_to_an_end_that_the_model_reads(
    message: Message, made: Callable[[], Call], step: Step, words: str
) -> None:
    run = Run(message)
    ((_number, got, result),) = await run(made())
    assert (got, words in result) == (step, True), result
    assert "hunter2" not in result
    row = await in_database(_row, message)
    assert (row.state, row.result) == (step, result)


async def test_what_is_invalid_is_never_run(message: Message) -> None:
    run = Run(message)
    await run(call("add", '{"a": "x"}'), call("add", "[]", 1))
    assert run.log == []


async def test_calls_run_side_by_side_unless_a_tool_must_be_alone(message: Message) -> None:
    run = Run(message)
    await run(call("slow"), call("slow", number=1))
    assert run.log[:2] == ["begin slow", "begin slow"]
    alone = Run(message)
    await alone(call("alone"), call("alone", number=1))
    assert alone.log == ["begin alone", "end alone"] * 2


async def test_it_is_on_record_before_it_runs(message: Message) -> None:
    run = Run(message)
    task = asyncio.create_task(run(call("stalls", '{"a": 7}')))
    await eventually(lambda: _is_true(run.log == ["begin stalls"]))
    row = await in_database(_row, message)
    assert (row.name, row.parsed, json.loads(row.arguments)) == ("stalls", {"a": 7}, {"a": 7})
    task.cancel()
    await asyncio.wait([task])
    assert run.log == ["begin stalls", "end stalls"]


async def _is_true(holds: bool) -> bool:
    return holds


def _decide(message: Message, decision: str) -> None:
    rows = ToolCall.objects.filter(message=message, state="waiting")
    assert rows.update(decision=decision)


@pytest.mark.parametrize(("decision", "step"), [("approved", Step.DONE), ("denied", Step.DENIED)])
async def test_a_call_waits_for_the_users_word(message: Message, decision: str, step: Step) -> None:
    run = Run(message, frozenset({"add"}))
    task = asyncio.create_task(run(call("add")))
    await eventually(lambda: _is_true(run.box.waiting == 1))
    assert run.log == []
    assert run.moves == [(0, Step.WAITING, "")]
    await in_database(_decide, message, decision)
    run.news.set()
    run.news.clear()
    ((_number, got, _result),) = await task
    assert got is step
    assert bool(run.log) == (step is Step.DONE)
    assert run.box.waiting == 0


async def test_a_lost_ring_costs_a_second(message: Message) -> None:
    run = Run(message, frozenset({"add"}))
    task = asyncio.create_task(run(call("add")))
    await eventually(lambda: _is_true(run.box.waiting == 1))
    await in_database(_decide, message, "approved")
    begun = time.monotonic()
    await task
    assert time.monotonic() - begun < 5


async def test_nobodys_answer_is_no(message: Message, settings: Any) -> None:
    settings.TOOL_APPROVAL_TIMEOUT = 0.05
    run = Run(message, frozenset({"add"}))
    ((_number, step, _result),) = await run(call("add"))
    assert step is Step.DENIED
    assert run.log == []


async def test_the_users_time_to_think_is_not_the_tools(
    message: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(box, "time", SimpleNamespace(monotonic=lambda: now[-1]))
    run = Run(message, frozenset({"add"}))
    task = asyncio.create_task(run(call("add")))
    await eventually(lambda: _is_true(bool(run.moves)))
    now.append(100.0)
    await in_database(_decide, message, "approved")
    run.news.set()
    await task
    assert [step for _, step, _ in run.moves] == [Step.WAITING, Step.RUNNING, Step.DONE]
    row = await in_database(_row, message)
    assert (row.state, row.duration_ms) == (Step.DONE, 0.0)


async def test_what_was_not_run_took_no_time(message: Message, settings: Any) -> None:
    settings.TOOL_APPROVAL_TIMEOUT = 0.05
    run = Run(message, frozenset({"add"}))
    await run(call("add"), call("slow", '{"a": "x"}', 1))
    rows = [await in_database(_row, message, number) for number in (0, 1)]
    assert [(row.state, row.duration_ms) for row in rows] == [("denied", None), ("invalid", None)]


async def test_an_approved_call_no_longer_asks_while_it_waits_for_others(message: Message) -> None:
    run = Run(message, frozenset({"alone"}))
    await run.box._alone.acquire()  # by a call that runs
    task = asyncio.create_task(run(call("alone")))
    await eventually(lambda: _is_true(bool(run.moves)))
    await in_database(_decide, message, "approved")
    run.news.set()
    await eventually(lambda: in_database(_is_running, message))
    assert run.log == []
    run.box._alone.release()
    await task
    assert [step for _, step, _ in run.moves] == [Step.WAITING, Step.RUNNING, Step.DONE]


def _is_running(message: Message) -> bool:
    return ToolCall.objects.filter(message=message, state=Step.RUNNING).exists()


async def test_nobody_is_asked_before_his_answer_could_be_taken(
    message: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is away when a call is about to wait: only a row that waits is decided on."""
    monkeypatch.setattr(box, "LOOK_S", 0.01)
    keep, away, refused = record.keep_claimed, True, 0

    def keep_or_fail(claim: record.Claim, calls: Sequence[Call]) -> bool:
        nonlocal refused
        if away:
            refused += 1
            raise OperationalError("away")
        return keep(claim, calls)

    monkeypatch.setattr(record, "keep_claimed", keep_or_fail)
    run = Run(message, frozenset({"add"}))
    task = asyncio.create_task(run(call("add")))
    await eventually(lambda: _is_true(refused > 3))
    assert run.moves == []
    away = False
    await eventually(lambda: _is_true(run.moves == [(0, Step.WAITING, "")]))
    await in_database(_decide, message, "approved")
    run.news.set()
    ((_number, step, _result),) = await task
    assert step is Step.DONE


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What came of each attempt to write calls."""
    keep, kept = record.keep_claimed, list[bool]()

    def keep_and_tell(claim: record.Claim, calls: Sequence[Call]) -> bool:
        done = keep(claim, calls)
        kept.append(done)
        return done

    monkeypatch.setattr(record, "keep_claimed", keep_and_tell)
    return kept


@pytest.mark.parametrize("lost", [{"attempt": 2}, {"state": State.INTERRUPTED}])
async def test_who_has_lost_the_reply_runs_nothing_and_writes_nothing(
    message: Message, kept: list[bool], lost: dict[str, Any]
) -> None:
    run = Run(message)
    await in_database(_update, message, lost)
    task = asyncio.create_task(run(call("add")))
    await eventually(lambda: _is_true(bool(kept)))
    done, _ = await asyncio.wait([task], timeout=0.1)  # it waits for the patrol
    assert (kept, run.moves, run.log, done) == ([False], [], [], set())
    assert not await in_database(ToolCall.objects.exists)
    task.cancel()
    await asyncio.wait([task])


async def test_what_a_lost_reply_was_running_leaves_no_result(
    message: Message, kept: list[bool]
) -> None:
    run = Run(message)
    await run.box._alone.acquire()  # by a call that runs
    task = asyncio.create_task(run(call("alone")))
    await eventually(lambda: in_database(_is_running, message))
    await in_database(_update, message, {"attempt": 2})
    run.box._alone.release()
    await eventually(lambda: _is_true(len(kept) == 3))
    assert run.moves[-1][1] is Step.DONE
    assert (kept[-1], (await in_database(_row, message)).state) == (False, Step.RUNNING)
    task.cancel()
    await asyncio.wait([task])


def _update(message: Message, fields: dict[str, Any]) -> None:
    Generation.objects.filter(message=message).update(**fields)
