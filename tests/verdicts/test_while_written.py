"""A reply is looked at while it is written, and ended where the policy says to stop."""

import json
import uuid

import pytest
from django.conf import LazySettings

from chat.api.actions import accept
from chat.api.requests import read
from chat.database import in_database
from chat.models import ApiKey, State, ToolCall, Verdict
from chat.services import Services
from tests.fake_provider import (
    Done,
    FakeProvider,
    Finish,
    Gate,
    Reasoning,
    Refusal,
    Script,
    Text,
    reply,
    tool_call,
)
from tests.fake_provider.script import Step
from tests.test_assisted_replies import ask as ask_assistant
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


WITH_A_TOOL = {
    "model": "fake",
    "messages": [{"role": "user", "content": "Tell me."}],
    "tools": [{"type": "function", "function": {"name": "tell"}}],
}
TOLD = "Let me tell you all about the badger and then some more of it. " + "And so on. " * 20


@pytest.mark.parametrize(
    "shown",
    [
        [Reasoning(TOLD, size=7)],
        tool_call("tell", json.dumps({"what": TOLD}), size=7),
        [Refusal(TOLD, size=7)],
    ],
)
async def test_what_is_shown_beside_the_text_is_looked_at_too(
    running: Services,
    provider: FakeProvider,
    settings: LazySettings,
    key: ApiKey,
    shown: list[Step],
) -> None:
    settings.MODERATION_STREAM_CHARS = 40
    await terms("badger")
    await rule("output", "stop", "codename")
    provider.enqueue(Script(Text("Well. "), *shown, Gate("never"), Text("End."), Finish()))
    asked = read(json.dumps(WITH_A_TOOL).encode(), ["fake"], "fake")
    conversation = uuid.uuid4()
    await in_database(accept, key, asked, conversation, "")
    generation = await ended(conversation)
    assert (generation.state, generation.stop_reason) == (State.STOPPED, "moderation")
    assert generation.message.withheld_at is not None
    verdict = await in_database(Verdict.objects.get, message=generation.message, backend="rules")
    marked = [generation.message.text[start:end] for start, end, _ in verdict.spans]
    assert marked == (["badger"] if isinstance(shown[0], Refusal) else [])


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


@pytest.mark.parametrize("spelled", ["badger", "b\\u0061dger"])
async def test_what_is_stopped_never_gets_to_a_tool(
    running: Services, provider: FakeProvider, spelled: str
) -> None:
    """Whether or not it is looked at while it is written: a tool may send it anywhere."""
    await terms("badger")
    await rule("output", "stop", "codename")
    called = tool_call("calculator", f'{{"expression": "{spelled}"}}')
    provider.enqueue(Script(*called, Finish("tool_calls"), Done()), reply("It is 42."))
    _, conversation = await ask_assistant(tools=["calculator"])
    generation = await ended(conversation)
    assert (generation.state, generation.stop_reason) == (State.STOPPED, "moderation")
    assert generation.message.withheld_at is not None
    assert generation.receipt.verdict == "flagged"
    call = await in_database(ToolCall.objects.get, message=generation.message)
    assert (call.state, call.result) == ("stopped", "")
    assert len(provider.streams) == 1
