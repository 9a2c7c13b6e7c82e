"""Nobody pays for tokens that nobody reads."""

import uuid
from typing import Any

import pytest
from django.conf import LazySettings

from chat.database import in_database
from chat.models import Generation, Message, State, User
from chat.services import Services
from chat.worker import patrol
from tests.conftest import make_user
from tests.delivery.test_viewer import watching
from tests.fake_provider import FakeProvider, Finish, Gate, Script, Text
from tests.support import eventually
from tests.test_pipeline import ask, ended

ENDLESS = Script(Text("It begins"), Gate("never"), Finish())
TWO_PARTS = Script(Text("It begins"), Gate("rest"), Text(" and ends."), Finish())


@pytest.fixture(autouse=True)
def _short(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.STREAM_ABANDON_GRACE = 0.3
    monkeypatch.setattr(patrol, "ARRIVAL_S", 0.6)


async def _person(**fields: Any) -> User:
    return await in_database(make_user, "ada", **fields)


async def _left(running: Services, ada: User, conversation: uuid.UUID) -> None:
    """Somebody reads the first words and closes the page."""
    async with watching(running, ada, conversation) as (page, _):
        await page.gets("begins")


async def test_the_call_is_closed_when_the_last_viewer_has_left(
    running: Services, provider: FakeProvider
) -> None:
    provider.enqueue(ENDLESS)
    ada = await _person()
    conversation = await ask(user=ada)
    async with watching(running, ada, conversation) as (page, _):
        await page.gets("begins")
        await _left(running, ada, conversation)  # one of two
    await provider.eventually(lambda: provider.streams[0].closed_by_client)
    generation = await ended(conversation)
    assert (generation.state, generation.stop_reason) == (State.INTERRUPTED, "no_viewer")
    assert (await in_database(Message.objects.get, generation=generation)).text == "It begins"


async def test_one_that_is_watched_goes_on(
    running: Services, provider: FakeProvider, settings: LazySettings
) -> None:
    settings.STREAM_ABANDON_GRACE = 0.0
    provider.enqueue(TWO_PARTS)
    ada = await _person()
    conversation = await ask(user=ada)
    rounds = _count_patrols(running)
    async with watching(running, ada, conversation) as (page, _):
        await page.gets("begins")
        before = rounds()

        async def looked() -> bool:
            return rounds() >= before + 3

        await eventually(looked)
        provider.open("rest")
        await page.gets("ends.")
    assert (await ended(conversation)).state == State.COMPLETE


async def test_who_comes_back_in_time_finds_it_going_on(
    running: Services, provider: FakeProvider, settings: LazySettings
) -> None:
    settings.STREAM_ABANDON_GRACE = 30.0
    provider.enqueue(TWO_PARTS)
    ada = await _person()
    conversation = await ask(user=ada)
    await _left(running, ada, conversation)
    async with watching(running, ada, conversation) as (page, _):
        await page.gets("begins")
        provider.open("rest")
        await page.gets("ends.")
    assert (await ended(conversation)).state == State.COMPLETE


async def test_who_came_and_left_between_two_looks_is_not_waited_for(
    running: Services, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patrol, "ARRIVAL_S", 120.0)
    provider.enqueue(ENDLESS)
    conversation = await ask(user=await _person())
    await provider.eventually(lambda: provider.streams)
    generation = await in_database(Generation.objects.get, conversation=conversation)
    running.log.subscribe(generation.pk, lambda: None).close()
    assert (await ended(conversation)).stop_reason == "no_viewer"


async def test_one_that_nobody_ever_came_to_see_is_given_up_too(
    running: Services, provider: FakeProvider
) -> None:
    provider.enqueue(ENDLESS)
    conversation = await ask(user=await _person())
    assert (await ended(conversation)).stop_reason == "no_viewer"


@pytest.mark.parametrize("why", ["never", "choice"])
async def test_one_that_is_to_be_finished_is_finished(
    running: Services, provider: FakeProvider, settings: LazySettings, why: str
) -> None:
    if why == "never":
        settings.STREAM_ABANDON_GRACE = None
    ada = await _person(finish_when_away=why == "choice")
    provider.enqueue(TWO_PARTS)
    conversation = await ask(user=ada)
    await _left(running, ada, conversation)
    rounds = _count_patrols(running)

    async def looked() -> bool:
        return rounds() >= 4

    await eventually(looked)
    provider.open("rest")
    assert (await ended(conversation)).state == State.COMPLETE


async def test_the_operator_may_overrule_the_choice(
    running: Services, provider: FakeProvider, settings: LazySettings
) -> None:
    settings.STREAM_FINISH_WHEN_AWAY = False
    ada = await _person(finish_when_away=True)
    provider.enqueue(ENDLESS)
    conversation = await ask(user=ada)
    await _left(running, ada, conversation)
    assert (await ended(conversation)).stop_reason == "no_viewer"


def _count_patrols(running: Services) -> Any:
    """How often the worker has looked around since."""
    looked = 0
    look = running.worker._leave_abandoned

    async def counting() -> None:
        nonlocal looked
        await look()
        looked += 1

    running.worker._leave_abandoned = counting
    return lambda: looked
