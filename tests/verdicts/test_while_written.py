"""A reply is looked at while it is written, and ended where the policy says to stop."""

import pytest
from django.conf import LazySettings

from chat.models import (
    State,
)
from chat.services import Services
from tests.fake_provider import (
    FakeProvider,
    Finish,
    Gate,
    Script,
    Text,
    reply,
)
from tests.test_pipeline import ask, ended
from tests.verdicts.asking import rule, settled, terms


@pytest.mark.parametrize("cut", [1, 7])
async def test_a_reply_is_stopped_and_retracted_while_it_is_written(
    running: Services, provider: FakeProvider, settings: LazySettings, cut: int
) -> None:
    settings.MODERATION_STREAM_CHARS = 40
    await terms("badger")
    await rule("output", "stop", "codename")
    told = "Let me tell you all about the badger and then some more of it. " + "And so on. " * 20
    provider.enqueue(Script(Text(told, size=cut), Gate("rest"), Text("End."), Finish()))
    conversation = await ask()
    generation = await ended(conversation)
    assert (generation.state, generation.stop_reason) == (State.STOPPED, "moderation")
    assert generation.message.withheld_at is not None
    assert generation.message.text.startswith("Let me tell you all about the badger")
    assert (await settled(conversation, "assistant"))["rules"] == ("flagged", "stop")
    await provider.eventually(lambda: not provider.open_streams, timeout=1)
    assert generation.receipt.verdict == "flagged"


async def test_a_word_that_is_still_being_written_is_not_read_as_a_shorter_one(
    running: Services, provider: FakeProvider, settings: LazySettings
) -> None:
    settings.MODERATION_STREAM_CHARS = 1
    await terms("assist")
    await rule("output", "stop", "codename")
    text = "An assistant, assisted by assistance, " * 40
    provider.enqueue(reply(text, size=3))
    generation = await ended(await ask())
    assert (generation.state, generation.message.text) == (State.COMPLETE, text)


async def test_nothing_is_looked_at_meanwhile_unless_it_is_wanted(
    running: Services, provider: FakeProvider
) -> None:
    await terms("badger")
    await rule("output", "stop", "codename")
    provider.enqueue(reply("A badger. " * 30))
    generation = await ended(await ask())
    assert generation.state == State.COMPLETE
    assert generation.message.withheld_at is not None
