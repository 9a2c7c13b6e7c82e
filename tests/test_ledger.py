"""The ledger: one row for every generation that ends, whichever way it ends."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import transaction

from chat import actions, ledger, services, sweeper, titles
from chat.database import in_database
from chat.models import Generation, Purpose, State, Timeline, Transport, Usage, User
from chat.models.generation import TERMINAL
from chat.worker.questions import Moderated
from tests.admin.rows import make_conversation, make_title, reply, say
from tests.fake_provider import Cut, FakeProvider, Gate, Script, Status, Text
from tests.fake_provider import reply as answer
from tests.support import eventually
from tests.talk import ask

REFUSED = {"error": {"message": "Unsupported parameter: temperature", "param": "temperature"}}


def enter(generation: Generation) -> Usage:
    with transaction.atomic():
        ledger.enter(Generation.objects.select_related("conversation").get(pk=generation.pk))
    return Usage.objects.get(generation_id=generation.pk)


def ended(owner: User, **fields: Any) -> Generation:
    return reply(say(make_conversation(owner), "Hello?"), "An answer.", **fields).generation


def test_a_row_says_what_the_generation_was(ada: User, settings: LazySettings) -> None:
    settings.MODEL_PRICES = {"small-1": (Decimal("2.5"), Decimal("10"))}
    row = enter(
        ended(
            ada,
            transport=Transport.SSE,
            stop_reason="user",
            state=State.STOPPED,
            prompt_tokens=1_000,
            completion_tokens=501,
            writing_ms=5_000.0,
            ttft_perceived_ms=321.0,
            inter_token_p95_ms=40.0,
            calls=2,
        )
    )
    assert (row.user, row.model, row.transport) == (ada, "small-1", "sse")
    assert (row.state, row.stop_reason, row.calls, row.purpose) == ("stopped", "user", 2, "reply")
    assert (row.prompt_tokens, row.completion_tokens) == (1_000, 501)
    assert row.cost == Decimal("0.007510")
    assert (row.ttft_served_ms, row.ttft_perceived_ms) == (203.9, 321.0)
    assert (row.tokens_per_second, row.inter_token_p95_ms) == (100.0, 40.0)


@pytest.mark.parametrize(
    ("tokens", "ms", "speed"),
    [(501, 5_000.0, 100.0), (501, 0.4, None), (501, None, None), (1, 900.0, None), (2, 50.0, 20.0)],
)
def test_what_a_buffer_held_back_has_no_speed(
    ada: User, tokens: int, ms: float | None, speed: float | None
) -> None:
    row = enter(ended(ada, completion_tokens=tokens, writing_ms=ms))
    assert row.tokens_per_second == speed


@pytest.mark.parametrize(
    ("model", "tokens", "cost"),
    [
        ("a", (1_000_000, 1_000_000), Decimal("12.5")),
        ("a", (1, 0), Decimal("0.000002")),  # half to even, as banks round
        ("a", (None, None), Decimal(0)),
        ("free", (5_000, 5_000), Decimal(0)),
        ("unknown", (5_000, 5_000), None),
    ],
)
def test_what_it_costs(
    settings: LazySettings, model: str, tokens: tuple[int | None, int | None], cost: Decimal | None
) -> None:
    settings.MODEL_PRICES = {
        "a": (Decimal("2.5"), Decimal("10")),
        "free": (Decimal(0), Decimal(0)),
    }
    assert ledger.cost(model, *tokens) == cost


def test_entered_twice_it_is_there_once(ada: User) -> None:
    generation = ended(ada)
    assert enter(generation).pk == enter(generation).pk
    assert Usage.objects.count() == 1


def test_times_that_come_before_the_end_come_with_it(ada: User) -> None:
    generation = ended(ada, state=State.STREAMING, ttft_served_ms=None)
    ledger.keep_served(generation.pk, 250.12345, Transport.WEBSOCKET)
    assert ledger.keep_perceived(generation.pk, 300.0)
    assert not Usage.objects.exists()
    row = enter(generation)
    assert (row.ttft_served_ms, row.ttft_perceived_ms) == (250.123, 300.0)
    assert row.transport == "websocket"


def test_times_that_come_after_it_are_entered_too_and_the_first_one_counts(ada: User) -> None:
    generation = ended(ada, ttft_served_ms=None)
    enter(generation)
    ledger.keep_served(generation.pk, 250.0, Transport.SSE)
    ledger.keep_served(generation.pk, 10.0, Transport.WEBSOCKET)
    assert ledger.keep_perceived(generation.pk, 300.0)
    assert not ledger.keep_perceived(generation.pk, 1.0)
    row = Usage.objects.get()
    assert (row.ttft_served_ms, row.ttft_perceived_ms, row.transport) == (250.0, 300.0, "sse")
    generation.refresh_from_db()
    assert (generation.ttft_served_ms, generation.ttft_perceived_ms) == (250.0, 300.0)


def test_titles_whose_worker_died_are_entered_by_the_sweeper_once(ada: User) -> None:
    title = make_title(make_conversation(ada), state=State.INTERRUPTED, stop_reason="orphaned")
    make_title(make_conversation(ada), state=State.STREAMING)
    assert (ledger.enter_titles(), ledger.enter_titles()) == (1, 0)
    row = Usage.objects.get()
    assert (row.generation_id, row.purpose, row.state) == (title.pk, "title", "interrupted")
    title.refresh_from_db()
    assert title.reconciled_at is not None


# Whole replies, by a worker against a provider on a socket

WAYS: dict[str, tuple[Script, str]] = {
    "complete": (answer("One two three."), "complete"),
    "failed": (Script(Status(401)), "failed"),
    "interrupted": (Script(Text("Half an ans"), Cut()), "interrupted"),
    "empty": (Script(Cut()), "failed"),
}


async def _ended(generation_id: int) -> Generation:
    async def probe() -> Generation | None:
        return await Generation.objects.filter(
            pk=generation_id, state__in=TERMINAL, reconciled_at__isnull=False
        ).afirst()

    found = await eventually(probe, message="it has not ended")
    assert found is not None
    return found


@pytest.mark.parametrize("way", WAYS)
async def test_every_end_is_entered_with_the_receipt(
    running: services.Services, provider: FakeProvider, ada: User, settings: LazySettings, way: str
) -> None:
    settings.TITLES = False
    script, state = WAYS[way]
    provider.script(script)
    asked = await in_database(ask, ada)
    generation = await _ended((await Generation.objects.aget(conversation=asked.conversation)).pk)
    row = await Usage.objects.aget()
    assert (row.generation_id, row.state, row.user_id) == (generation.pk, state, ada.pk)
    assert row.error_kind == generation.error_kind
    assert row.calls == generation.calls >= 1
    timelines = [line.points async for line in Timeline.objects.all()]
    text = await in_database(lambda: generation.message.text)
    assert len(timelines) == bool(text)
    if text:
        assert timelines[0][-1][1:] == [len(text), 0]


async def test_a_title_is_entered_with_its_tokens(
    running: services.Services, provider: FakeProvider, ada: User
) -> None:
    await in_database(ask, ada)

    async def titled() -> Usage | None:
        return await Usage.objects.filter(purpose=Purpose.TITLE).afirst()

    row = await eventually(titled)
    assert row is not None
    assert row.state == "complete"
    assert row.calls == 1
    assert await Usage.objects.acount() == 2


async def test_a_title_counts_the_requests_that_were_made_for_it(
    running: services.Services, provider: FakeProvider, ada: User
) -> None:
    provider.override("titles", Script(Status(400, body=REFUSED)))
    await in_database(ask, ada)

    async def titled() -> Usage | None:
        return await Usage.objects.filter(purpose=Purpose.TITLE).afirst()

    row = await eventually(titled)
    assert row is not None
    made = [request for request in provider.requests if request.kind == "completion"]
    assert row.state == "failed"
    assert row.calls == len(made) == 2  # once more without what was refused


async def test_a_title_that_no_model_may_be_asked_for_has_no_request(
    running: services.Services, ada: User
) -> None:
    title = await in_database(
        lambda: make_title(make_conversation(ada), state=State.STREAMING, attempt=1)
    )

    async def refuse() -> None:
        raise Moderated

    job = SimpleNamespace(
        generation_id=title.pk,
        attempt=1,
        question_id=None,
        conversation_id=title.conversation_id,
        owner_id=ada.pk,
    )
    await titles.run(job, running.provider, refuse())
    row = await Usage.objects.aget(generation_id=title.pk)
    assert (row.state, row.error_kind, row.calls) == ("failed", "moderated", 0)


async def test_a_stopped_one_and_one_that_nobody_claimed_are_entered(
    running: services.Services, provider: FakeProvider, ada: User, settings: LazySettings
) -> None:
    settings.TITLES = False
    provider.script(Script(Text("Half"), Gate("never"), Text("!")))
    asked = await in_database(ask, ada)
    await provider.eventually(lambda: provider.open_streams)
    await in_database(actions.stop, ada, asked.conversation_id)
    claimed = await _ended((await Generation.objects.aget()).pk)
    assert (await Usage.objects.aget(generation_id=claimed.pk)).stop_reason == "user"

    await running.worker.drain(0)  # type: ignore[union-attr]
    asked = await in_database(ask, ada)
    await in_database(actions.stop, ada, asked.conversation_id)
    await sweeper.sweep(running.provider, sweeper.Orphans())
    row = await Usage.objects.exclude(generation_id=claimed.pk).aget()
    assert (row.state, row.calls) == ("stopped", 0)


@pytest.mark.django_db(transaction=True)
async def test_an_orphan_is_entered_by_whoever_sweeps_and_by_one_of_two(
    provider: FakeProvider, ada: User
) -> None:
    generation = await in_database(
        ended, ada, state=State.STREAMING, receipt=False, claimed_by="dead"
    )
    running = services.ensure_started()
    try:
        orphans = sweeper.Orphans(only_holder="me")
        await asyncio.gather(
            sweeper.sweep(running.provider, orphans), sweeper.sweep(running.provider, orphans)
        )
        await sweeper.sweep(running.provider, orphans)
    finally:
        await services.shut_down(drain_s=0)
        services.forget()
    row = await Usage.objects.aget()
    assert (row.generation_id, row.state) == (generation.pk, "interrupted")
    assert row.stop_reason == "orphaned"


def test_the_way_to_the_reader_costs_one_query(
    ada: User, django_assert_num_queries: Callable[..., Any]
) -> None:
    generation = ended(ada, state=State.STREAMING, ttft_served_ms=None)
    with django_assert_num_queries(1):
        ledger.keep_served(generation.pk, 250.0, Transport.WEBSOCKET)
