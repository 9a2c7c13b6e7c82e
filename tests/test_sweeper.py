"""What a crash left is finished by whoever is alive, and what is alive is left alone."""

import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
from django.utils import timezone

from chat import actions, sweeper
from chat.database import in_database
from chat.engine.provider import Endpoint, Provider
from chat.models import Generation, Message, State, User
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
