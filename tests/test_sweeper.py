"""What a crash left is finished by whoever is alive, and what is alive is left alone."""

import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import pytest_asyncio
from django.conf import LazySettings
from django.db import transaction
from django.utils import timezone

from chat import actions, pending, sweeper
from chat.database import in_database
from chat.engine.provider import Endpoint, Provider
from chat.models import Generation, Message, ReviewItem, State, User, Verdict
from chat.services import Services
from tests.fake_provider import FakeProvider, Gate, Script, Status
from tests.support import eventually
from tests.talk import ask, talk
from tests.test_pipeline import ended

pytestmark = pytest.mark.django_db(transaction=True)


@pytest_asyncio.fixture
async def nobody() -> AsyncIterator[Provider]:
    """A provider that nobody should ask."""
    provider = Provider(lambda: Endpoint("http://127.0.0.1:9", ""))
    yield provider
    await provider.close()


def _orphan(user: User, heartbeat_age_s: float) -> uuid.UUID:
    conversation = uuid.uuid4()
    actions.send(user, conversation, "Hello?", uuid.uuid4().hex, may_create=True)
    seen = timezone.now() - timedelta(seconds=heartbeat_age_s)
    Message.objects.filter(conversation=conversation, role="assistant").update(text="Half")
    Generation.objects.filter(conversation=conversation).update(
        state=State.STREAMING, attempt=1, claimed_by="a dead worker", heartbeat_at=seen
    )
    return conversation


def _state(conversation: uuid.UUID) -> str:
    return Generation.objects.get(conversation=conversation).state


async def test_one_pass_goes_by_the_heartbeats_times(ada: User, nobody: Provider) -> None:
    conversation = await in_database(_orphan, ada, 60)
    alive = await in_database(_orphan, ada, 1)
    swept = await sweeper.sweep(nobody, sweeper.OrphansAtOnce())
    assert (swept.orphans, swept.reconciled) == (1, 1)
    generation = await ended(conversation)
    assert (generation.state, generation.stop_reason) == (State.INTERRUPTED, "orphaned")
    assert generation.receipt.verdict == "passed"
    assert await in_database(_state, alive) == State.STREAMING


async def test_the_only_worker_that_can_live_takes_what_others_held(
    ada: User, nobody: Provider
) -> None:
    conversation = await in_database(_orphan, ada, 1)
    await sweeper.sweep(nobody, sweeper.Orphans("a dead worker"))
    assert await in_database(_state, conversation) == State.STREAMING
    await sweeper.sweep(nobody, sweeper.Orphans("me"))
    assert await in_database(_state, conversation) == State.INTERRUPTED


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock of the sweeper: its last element."""
    times = [1_000.0]
    monkeypatch.setattr("chat.sweeper.time.monotonic", lambda: times[-1])
    return times


def _beat(conversation: uuid.UUID) -> None:
    Generation.objects.filter(conversation=conversation).update(heartbeat_at=timezone.now())


async def test_a_heartbeat_that_is_seen_to_stand_still_is_an_orphan(
    ada: User, nobody: Provider, clock: list[float]
) -> None:
    lost = await in_database(_orphan, ada, 0)
    alive = await in_database(_orphan, ada, 0)
    orphans = sweeper.Orphans()
    for _ in range(4):
        await sweeper.sweep(nobody, orphans)
        assert await in_database(_state, lost) == State.STREAMING
        clock.append(clock[-1] + sweeper.ORPHANED_AFTER_S / 4)
        await in_database(_beat, alive)
    await sweeper.sweep(nobody, orphans)
    assert await in_database(_state, lost) == State.INTERRUPTED
    assert await in_database(_state, alive) == State.STREAMING


async def test_a_wall_clock_that_jumps_makes_no_orphans(
    ada: User, nobody: Provider, clock: list[float]
) -> None:
    alive = await in_database(_orphan, ada, 3600)
    orphans = sweeper.Orphans()
    await sweeper.sweep(nobody, orphans)
    assert await in_database(_state, alive) == State.STREAMING


async def test_heartbeats_that_could_not_be_written_are_not_held_against_anybody(
    ada: User, nobody: Provider, clock: list[float]
) -> None:
    alive = await in_database(_orphan, ada, 0)
    orphans = sweeper.Orphans()
    await sweeper.sweep(nobody, orphans)
    clock.append(clock[-1] + sweeper.ORPHANED_AFTER_S)
    orphans.forget()
    await sweeper.sweep(nobody, orphans)
    assert await in_database(_state, alive) == State.STREAMING


def test_the_backlog_counts_what_waits(ada: User) -> None:
    conversation = uuid.uuid4()
    actions.send(ada, conversation, "Hello?", "some-key", may_create=True)
    assert sweeper.backlog()["unreconciled"] == 0
    actions.stop(ada, conversation)
    assert sweeper.backlog()["unreconciled"] == 1


# --- Verdicts ------------------------------------------------------------------------------------


def _left(user: User) -> int:
    """A reply that has ended and has no receipt; it was never there for a worker to claim."""
    with transaction.atomic():
        conversation, _, reply = talk(user, "Half")
        Generation.objects.filter(conversation=conversation).update(stop_reason="orphaned")
    return reply.pk


def _make_due(*message_ids: int) -> None:
    rows = Verdict.objects.filter(message__in=message_ids, state="pending")
    rows.update(next_try_at=timezone.now() - timedelta(minutes=1))


async def test_a_slow_moderation_service_holds_no_sweep_up(
    ada: User, running: Services, provider: FakeProvider, settings: LazySettings
) -> None:
    settings.MODERATION_BACKENDS = ["local", "openai"]
    provider.override("moderations", Script(Gate("verdict"), Status(503)))
    asked = await in_database(ask, ada, "Due?")
    await in_database(_make_due, asked.pk)
    running.sweep_soon()
    await provider.eventually(lambda: [r for r in provider.requests if r.kind == "moderations"])
    reply = await in_database(_left, ada)
    running.sweep_soon()

    async def reconciled() -> bool:
        rows = Generation.objects.filter(message=reply, reconciled_at__isnull=False)
        return await in_database(rows.exists)

    await eventually(reconciled)
    provider.open("verdict")


async def test_a_backend_that_is_down_starves_no_other(
    ada: User, provider: FakeProvider, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "BATCH", 2)
    settings.CONCURRENT_REPLIES_PER_USER = 9
    settings.MODERATION_BACKENDS = ["openai"]
    waiting = [await in_database(ask, ada) for _ in range(4)]
    settings.MODERATION_BACKENDS = ["openai", "local"]
    last = await in_database(ask, ada)
    await in_database(_make_due, *(message.pk for message in waiting), last.pk)
    provider.override("moderations", Script(Status(503)))
    client = Provider(lambda: Endpoint(provider.base_url, "key"))
    await sweeper.moderate(client)
    await client.close()
    rows = Verdict.objects.filter(message=last, backend="local", state="passed")
    assert await in_database(rows.exists)
    assert len([r for r in provider.requests if r.kind == "moderations"]) <= 3  # its retries


@pytest.mark.parametrize(("others", "left"), [(["local"], []), ([], ["error"])])
async def test_a_backend_that_nobody_has_any_more_is_not_waited_for(
    ada: User, nobody: Provider, settings: LazySettings, others: list[str], left: list[str]
) -> None:
    settings.MODERATION_BACKENDS = [*others, "openai"]
    message = await in_database(ask, ada)
    settings.MODERATION_BACKENDS = ["local"]
    await in_database(_make_due, message.pk)
    rows = Verdict.objects.filter(message=message, backend="openai")
    await sweeper.moderate(nobody)
    assert await in_database(_states, rows) == ["pending"]  # another process may have it
    await in_database(rows.update, created_at=timezone.now() - sweeper.GIVEN_UP_AFTER)
    await sweeper.moderate(nobody)
    assert await in_database(_states, rows) == left
    items = ReviewItem.objects.filter(message=message, is_unclear=True)
    assert await in_database(items.exists) == bool(left)


def _states(rows: Any) -> list[str]:
    return list(rows.values_list("state", flat=True))


@pytest.mark.parametrize(("backends", "shown"), [(["local"], True), (["local", "openai"], False)])
async def test_where_nothing_may_pass_unchecked_half_a_reply_waits_for_its_verdict_too(
    ada: User, nobody: Provider, settings: LazySettings, backends: list[str], shown: bool
) -> None:
    settings.MODERATION_BACKENDS = backends
    settings.MODERATION_FAIL = "closed"
    conversation = await in_database(_orphan, ada, 60)
    rows = Message.objects.filter(conversation=conversation, role="assistant", text="Half")
    assert await in_database(sweeper._interrupt_orphans, sweeper.OrphansAtOnce()) == 1
    assert await in_database(rows.filter(withheld_at__isnull=False).exists)
    await sweeper.tidy(nobody, sweeper.OrphansAtOnce())
    assert await in_database(rows.filter(withheld_at=None).exists) == shown


async def test_who_asks_at_once_leaves_what_another_asks_and_takes_what_was_put_off(
    ada: User, provider: FakeProvider, settings: LazySettings
) -> None:
    settings.MODERATION_BACKENDS = ["openai"]
    message = await in_database(ask, ada)
    take = partial(in_database, pending._take, message.pk, "openai", True)
    assert await take() is not None  # new: the worker's
    assert await take() is None
    await in_database(pending._postpone, message.pk, "openai")
    assert await take() is not None
    assert await take() is None
