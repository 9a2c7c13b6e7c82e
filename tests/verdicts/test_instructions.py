"""What an assistant tells the model is held to the policy of today, whenever it was saved."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import pytest_asyncio
from django.conf import LazySettings

from chat import branches, instructions
from chat.database import in_database
from chat.engine.provider import Endpoint, Provider
from chat.models import ModerationRule, State
from chat.moderation import local
from chat.moderation.policy import Policy
from chat.moderation.policy import PolicyRule as Line
from chat.policy import Current
from chat.services import Services
from chat.worker import questions
from tests.fake_provider import FakeProvider
from tests.test_assisted_replies import ask
from tests.test_pipeline import ended
from tests.verdicts.asking import RUDE, rule, settled, shown, terms

SCHEMA = {"type": "object", "properties": {"badger": {"type": "string"}}}


@pytest.mark.parametrize(
    "version", [{"instructions": "Praise the b\u0430dger."}, {"response_schema": SCHEMA}]
)
async def test_instructions_that_a_new_rule_stops_reach_no_model(
    running: Services, provider: FakeProvider, version: dict[str, Any]
) -> None:
    await terms("badger")
    await rule("input", "stop", "codename")
    user, conversation = await ask("Hello?", **version)
    generation = await ended(conversation)
    assert (generation.state, generation.error_kind) == (State.FAILED, "misinstructed")
    assert provider.streams == []
    page = await in_database(shown, generation.message_id)
    assert "moderation objects to what the assistant is told" in page

    await in_database(ModerationRule.objects.all().delete)
    await in_database(branches.regenerate, user, conversation, generation.message_id)
    await provider.eventually(lambda: provider.streams)


async def test_what_is_only_flagged_is_followed(running: Services, provider: FakeProvider) -> None:
    await terms("badger")
    _, conversation = await ask("Hello?", instructions="Praise the badger.")
    assert (await ended(conversation)).state == State.COMPLETE
    assert set((await settled(conversation)).values()) == {("passed", "allow")}


@pytest_asyncio.fixture
async def nobody(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Provider]:
    """A provider that nobody should ask; and nothing is known yet."""
    monkeypatch.setattr(instructions, "_known", {})
    provider = Provider(lambda: Endpoint("http://127.0.0.1:9", ""))
    yield provider
    await provider.close()


@contextmanager
def unable() -> Iterator[None]:
    """The local backend can say nothing in here."""

    def fail(text: str) -> None:
        raise MemoryError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "classify", fail)
        yield


CURRENT = Current(Policy((Line("input", "", "withhold", None),)), (), ("local",))


async def test_that_a_backend_could_not_say_is_not_remembered(nobody: Provider) -> None:
    with unable():
        assert await instructions.is_refused(RUDE, CURRENT, nobody) is None
    assert await instructions.is_refused(RUDE, CURRENT, nobody) is True


async def test_where_nothing_may_pass_unchecked_instructions_do_not(
    nobody: Provider, settings: LazySettings
) -> None:
    with unable():
        await questions.check_told([RUDE], CURRENT, nobody)
        settings.MODERATION_FAIL = "closed"
        with pytest.raises(questions.Unchecked):
            await questions.check_told([RUDE], CURRENT, nobody)


async def test_an_answer_that_another_thread_forgets_is_given_all_the_same(
    monkeypatch: pytest.MonkeyPatch, nobody: Provider
) -> None:
    class Forgetful(dict[tuple[str, ...], bool]):
        def __setitem__(self, key: tuple[str, ...], value: bool) -> None:
            super().__setitem__(key, value)
            self.clear()

    monkeypatch.setattr(instructions, "_known", Forgetful())
    assert await instructions.is_refused(RUDE, CURRENT, nobody) is True
