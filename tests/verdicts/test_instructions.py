"""What an assistant tells the model is held to the policy of today, whenever it was saved."""

from typing import Any

import pytest

from chat import branches
from chat.database import in_database
from chat.models import ModerationRule, State
from chat.services import Services
from tests.fake_provider import FakeProvider
from tests.test_assisted_replies import ask
from tests.test_pipeline import ended
from tests.verdicts.asking import rule, settled, shown, terms

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
