"""What a remote moderation backend takes is in the ledger, verdict or not, and not a word of it."""

import asyncio
import json
from decimal import Decimal
from functools import partial
from uuid import UUID

import pytest
from django.conf import LazySettings, settings
from django.db import connection

from chat import database, policy
from chat.admin.trying import try_out
from chat.asking import ask_metered
from chat.database import in_database
from chat.engine.provider import Endpoint, Provider
from chat.models import Direction, Generation, PaidFor, State, Usage, User
from chat.moderation.base import ModerationUnavailable, Result, Unclear
from chat.moderation.judge import PIECE_CHARS
from chat.services import Services
from tests.fake_provider import FakeProvider, Gate, Script, Status, answers
from tests.fake_provider.recorded import Request
from tests.moderation.judging import answer
from tests.support import eventually
from tests.test_pipeline import ask, ended

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "the canary sings at midnight"


@pytest.fixture
def judged(provider: FakeProvider, settings: LazySettings) -> FakeProvider:
    settings.MODERATION_BACKENDS = ["judge"]
    settings.MODERATION_JUDGE_MODEL = "judge-1"
    settings.MODEL_PRICES = {"judge-1": (Decimal(2), Decimal(10))}
    settings.TITLES = False
    provider.judge = _with_usage
    return provider


def _with_usage(request: Request) -> Script:
    """An honest answer that says what it took."""
    body = answers.completion(answer(request), request.model)
    return Script(Status(200, body={**body, "usage": _tokens(500, 60)}))


def _tokens(prompt: int, completion: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": 0}


async def judge(user: User, text: str = SECRET, *, name: str = "judge") -> Result | Unclear:
    provider = Provider(lambda: Endpoint(settings.OPENAI_BASE_URL, "key"))
    try:
        current = await in_database(policy.current)
        return await ask_metered(name, text, Direction.INPUT, current, provider, user.pk)
    finally:
        await provider.close()


async def entries() -> list[Usage]:
    return [row async for row in Usage.objects.filter(purpose=PaidFor.MODERATION).order_by("pk")]


async def of(conversation: UUID) -> int:
    return (
        await Generation.objects.select_related("conversation").aget(conversation=conversation)
    ).conversation.owner_id


async def test_every_call_to_the_provider_is_in_the_ledger(
    running: Services, judged: FakeProvider
) -> None:
    """I6, with judges: accepted sends and what judges them, and no other call."""
    conversation = await ask()
    await ended(conversation)

    async def both() -> list[Usage]:
        found = await entries()
        return found if len(found) == 2 else []

    for row in await eventually(both):
        assert (row.model, row.state, row.calls) == ("judge-1", "complete", 1)
        assert (row.prompt_tokens, row.completion_tokens) == (500, 60)
        assert (row.cost, row.user_id) == (Decimal("0.0016"), await of(conversation))
        assert row.generation_id is None
    calls = [request for request in judged.requests if request.kind in ("stream", "completion")]
    assert sum([row.calls async for row in Usage.objects.all()]) == len(calls) == 3


async def test_so_is_what_is_asked_before_anything_is_shown(
    running: Services, judged: FakeProvider, settings: LazySettings
) -> None:
    settings.MODERATION_FAIL = "closed"
    settings.TITLES = True
    await ask()

    async def titled() -> bool:
        return await Usage.objects.filter(purpose=PaidFor.TITLE).aexists()

    await eventually(titled)
    rows = [row async for row in Usage.objects.order_by("purpose")]
    paid_for = [row.purpose for row in rows]
    assert paid_for == ["moderation"] * 3 + ["reply", "title"]  # question, reply and title
    assert [row.calls for row in rows] == [1] * 5
    assert {row.model for row in rows[:3]} == {"judge-1"}


async def test_a_long_text_is_one_entry_with_all_its_calls(judged: FakeProvider, ada: User) -> None:
    await judge(ada, "word " * (PIECE_CHARS // 2))
    (row,) = await entries()
    assert row.calls == len(judged.requests) == 3
    assert (row.prompt_tokens, row.completion_tokens) == (1500, 180)


async def test_an_answer_that_is_no_verdict_has_been_paid_for(
    judged: FakeProvider, ada: User
) -> None:
    body = {**answers.completion("I cannot.", "judge-1"), "usage": _tokens(500, 3)}
    judged.judge = lambda request: Script(Status(200, body=body))
    assert isinstance(await judge(ada), Unclear)
    (row,) = await entries()
    assert (row.state, row.error_kind, row.calls) == ("failed", "unclear", 1)
    assert (row.prompt_tokens, row.cost) == (500, Decimal("0.00103"))


async def test_so_has_what_was_said_before_the_backend_went_down(
    judged: FakeProvider, ada: User
) -> None:
    judged.judge = lambda request: (
        _with_usage(request) if len(judged.requests) == 1 else Script(Status(503))
    )
    with pytest.raises(ModerationUnavailable):
        await judge(ada, "word " * (PIECE_CHARS // 2))
    (row,) = await entries()
    assert (row.state, row.error_kind) == ("failed", "unavailable")
    assert (row.calls, row.prompt_tokens) == (2, 500)


async def test_a_backend_that_is_down_leaves_no_entry_each_time_that_it_is_asked(
    judged: FakeProvider, ada: User
) -> None:
    judged.judge = lambda request: Script(Status(503))
    with pytest.raises(ModerationUnavailable):
        await judge(ada)
    assert judged.requests
    assert not await entries()


async def test_one_that_nobody_waits_for_any_more_is_entered(
    judged: FakeProvider, ada: User
) -> None:
    judged.judge = lambda request: Script(Gate("never"))
    asking = asyncio.create_task(judge(ada))
    await judged.eventually(lambda: judged.requests)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    (row,) = await entries()
    assert (row.state, row.calls) == (State.INTERRUPTED, 1)


async def test_the_endpoints_moderation_counts_as_well(
    judged: FakeProvider, ada: User, settings: LazySettings
) -> None:
    settings.MODERATION_BACKENDS = ["openai"]
    await judge(ada, name="openai")
    (row,) = await entries()
    assert (row.model, row.calls, row.cost) == ("omni-moderation-latest", 1, None)


async def test_what_asks_nobody_has_no_entry(judged: FakeProvider, ada: User) -> None:
    await judge(ada, name="local")
    assert not await Usage.objects.aexists()


async def test_no_word_of_the_text_is_in_it(judged: FakeProvider, ada: User) -> None:
    await judge(ada)
    row = await Usage.objects.values().aget()
    assert "canary" not in json.dumps(row, default=str)


def test_who_tries_a_rule_out_pays_for_it(judged: FakeProvider, admin: User) -> None:
    try_out(SECRET, "input", policy.current(), admin.pk, remote=True)
    assert Usage.objects.get().user == admin


async def test_who_tries_leaves_threads_for_everybody_else(
    judged: FakeProvider, admin: User
) -> None:
    judged.judge = lambda request: Script(Gate("together"), *_with_usage(request).steps)
    current = await in_database(policy.current)
    ask = partial(try_out, SECRET, "input", current, admin.pk, remote=True)
    trying = [asyncio.create_task(in_database(ask)) for _ in range(database.THREADS)]
    some = database.THREADS // 2
    await asyncio.to_thread(judged.wait_at_gate, "together", some)
    refused, waiting = await asyncio.wait(trying, return_when=asyncio.FIRST_COMPLETED)
    while len(refused) < some:
        more, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        refused |= more
    assert all("Try again" in task.result().said[-1].problem for task in refused)
    await asyncio.wait_for(in_database(policy.current), 10)
    judged.open("together")
    assert [(await task).action for task in waiting] == ["allow"] * some
    assert len(await entries()) == some
    assert (await in_database(ask)).action == "allow"  # it is somebody's turn again


async def test_a_verdict_is_had_when_the_ledger_is_away(judged: FakeProvider, ada: User) -> None:
    def rename(old: str, new: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {old} RENAME TO {new}")

    await in_database(rename, "chat_usage", "elsewhere")
    try:
        assert isinstance(await judge(ada), Result)
    finally:
        await in_database(rename, "elsewhere", "chat_usage")
    assert not await entries()
