"""Where nothing may pass unchecked, nothing does."""

import json

from django.conf import LazySettings
from django.utils import timezone

from chat import branches, sweeper
from chat.database import in_database
from chat.models import (
    Message,
    State,
    User,
    Verdict,
)
from chat.services import Services
from tests.fake_provider import (
    FakeProvider,
    Finish,
    Gate,
    Script,
    Status,
    Text,
)
from tests.support import eventually
from tests.test_pipeline import ask, ended
from tests.verdicts.asking import question, settled


async def test_where_nothing_may_pass_unchecked_no_model_is_asked_before_the_verdict(
    running: Services, provider: FakeProvider, settings: LazySettings
) -> None:
    settings.MODERATION_BACKENDS = ["local", "openai"]
    settings.MODERATION_FAIL = "closed"
    provider.override("moderations", Script(Status(503)))
    conversation = await ask()
    generation = await ended(conversation)
    assert (generation.state, generation.error_kind) == (State.FAILED, "unchecked")
    assert provider.streams == []

    provider.override("moderations", None)
    user = await in_database(User.objects.get, username="ada")
    await in_database(branches.regenerate, user, conversation, generation.message_id)
    await provider.eventually(lambda: provider.streams)
    assert [r.kind for r in provider.requests].index("stream") > 1
    assert await settled(conversation) == {
        "local": ("passed", "allow"),
        "openai": ("passed", "allow"),
    }


async def test_where_nothing_may_pass_unchecked_a_reply_waits_for_its_verdict(
    running: Services, provider: FakeProvider, settings: LazySettings
) -> None:
    settings.MODERATION_BACKENDS = ["local", "openai"]
    settings.MODERATION_FAIL = "closed"
    provider.enqueue(Script(Text("Here you"), Gate("down"), Text(" are."), Finish()))
    conversation = await ask()
    await provider.eventually(lambda: provider.streams)
    provider.override("moderations", Script(Status(503)))
    provider.open("down")
    generation = await ended(conversation)
    assert generation.message.withheld_at is not None

    provider.override("moderations", None)
    rows = Verdict.objects.filter(message=generation.message_id, backend="openai")

    async def tried() -> bool:
        return bool(await in_database(rows.filter(tries=1).update, next_try_at=timezone.now()))

    await eventually(tried)
    await sweeper.sweep(running.provider, sweeper.Orphans())
    message = await in_database(Message.objects.get, pk=generation.message_id)
    assert message.withheld_at is None


async def test_a_title_is_asked_with_nothing_unchecked_where_nothing_may_pass(
    running: Services, provider: FakeProvider, settings: LazySettings
) -> None:
    """It is of the question whose reply is complete, and that one has passed."""
    settings.MODERATION_BACKENDS = ["local", "openai"]
    settings.MODERATION_FAIL = "closed"
    provider.override("moderations", Script(Status(503)))
    conversation = await ask("An unchecked question")
    await ended(conversation)
    provider.override("moderations", None)
    user = await in_database(User.objects.get, username="ada")
    asked = await question(conversation)
    await in_database(branches.edit, user, conversation, asked.pk, "Hello there", "edit-key")
    requests = await provider.eventually(
        lambda: [r for r in provider.requests if r.kind == "completion"]
    )
    assert "Hello there" in json.dumps(requests[0].body)
    assert "unchecked" not in json.dumps(requests[0].body)
