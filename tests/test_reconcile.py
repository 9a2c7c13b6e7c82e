"""After the stream: every reply with text has a verdict or a pending one, whatever happens."""

import uuid

import pytest
from django.conf import LazySettings
from django.utils import timezone

from chat import actions, reconcile, sweeper
from chat.database import in_database
from chat.models import Conversation, Generation, Message, Receipt, State, User, Verdict
from chat.services import Services
from tests.fake_provider import FakeProvider, Finish, Gate, Script, Status, Text, reply
from tests.support import eventually
from tests.test_pipeline import ask, ended


def verdicts(conversation: uuid.UUID) -> dict[str, str]:
    """Of the reply."""
    rows = Verdict.objects.filter(message__conversation=conversation, message__role="assistant")
    return dict(rows.values_list("backend", "state"))


async def test_a_flagged_reply_is_withheld(running: Services, provider: FakeProvider) -> None:
    provider.enqueue(reply("I will kill you, you worthless piece of shit."))
    generation = await ended(await ask())
    assert generation.receipt.verdict == "flagged"
    assert generation.message.withheld_at is not None
    assert generation.message.text.startswith("I will")


async def test_a_flagged_reply_stays_on_screen_when_that_is_the_policy(
    running: Services, provider: FakeProvider, settings: LazySettings
) -> None:
    settings.MODERATION_ACTION = "flag"
    provider.enqueue(reply("I will kill you, you worthless piece of shit."))
    generation = await ended(await ask())
    assert generation.receipt.verdict == "flagged"
    assert generation.message.withheld_at is None


async def test_a_withheld_reply_is_not_told_to_the_provider_again(
    running: Services, provider: FakeProvider
) -> None:
    provider.enqueue(reply("I will kill you, you worthless piece of shit."))
    conversation = await ask("First?")
    await ended(conversation)
    user = await in_database(User.objects.get, username="ada")
    await in_database(actions.send, user, conversation, "Second?", "next-key", may_create=False)
    await provider.eventually(lambda: len(provider.streams) == 2)
    assert "worthless" not in str(provider.streams[1].body)


@pytest.mark.parametrize("end", ["stopped", "deleted"])
async def test_ending_early_does_not_evade_moderation(
    running: Services, provider: FakeProvider, end: str
) -> None:
    provider.enqueue(Script(Text("I will kill you, you worthless "), Gate("rest"), Finish()))
    conversation = await ask()

    def written() -> bool:
        return Message.objects.filter(role="assistant", text__contains="worthless").exists()

    await eventually(lambda: in_database(written))
    user = await in_database(User.objects.get, username="ada")
    act = actions.stop if end == "stopped" else actions.delete
    await in_database(act, user, conversation)
    generation = await ended(conversation)
    assert generation.state == State.STOPPED
    assert await in_database(verdicts, conversation) == {"local": "flagged"}


async def test_a_reply_without_text_needs_no_verdict(
    running: Services, provider: FakeProvider
) -> None:
    provider.enqueue(Script(Status(400)))
    conversation = await ask()
    generation = await ended(conversation)
    assert generation.receipt.characters == 0
    assert await in_database(verdicts, conversation) == {}


async def test_the_endpoint_s_moderation_is_asked_too_when_it_is_named(
    running: Services, provider: FakeProvider, settings: LazySettings
) -> None:
    settings.MODERATION_BACKENDS = ["local", "openai"]
    conversation = await ask()
    await ended(conversation)

    async def both() -> bool:
        found = await in_database(verdicts, conversation)
        return found == {"local": "passed", "openai": "passed"}

    await eventually(both)


async def test_a_moderation_service_that_is_down_is_asked_again_later(
    running: Services, provider: FakeProvider, settings: LazySettings
) -> None:
    settings.MODERATION_BACKENDS = ["local", "openai"]
    provider.override("moderations", Script(Status(503)))
    conversation = await ask()
    generation = await ended(conversation)

    def tried() -> Verdict | None:
        verdicts = Verdict.objects.filter(message__generation=generation)
        return verdicts.filter(backend="openai", tries=1).first()

    verdict = await eventually(lambda: in_database(tried))
    assert verdict.state == "pending"
    assert verdict.next_try_at > timezone.now()
    assert generation.receipt.verdict == "pending"
    assert generation.message.text == "All is well."

    provider.override("moderations", None)
    await in_database(Verdict.objects.filter(pk=verdict.pk).update, next_try_at=timezone.now())
    await sweeper.sweep(running.provider, sweeper.Orphans())
    assert await in_database(verdicts, conversation) == {"local": "passed", "openai": "passed"}
    receipt = await in_database(Receipt.objects.get, generation=generation)
    assert receipt.verdict == "passed"


async def test_reconciling_twice_writes_once(running: Services, provider: FakeProvider) -> None:
    conversation = await ask()
    generation = await ended(conversation)
    await reconcile.reconcile(generation.pk, running.provider)
    await in_database(reconcile._write_later, generation.pk, "All is well.", {})
    assert await in_database(Receipt.objects.count) == 1
    assert await in_database(Verdict.objects.filter(message__role="assistant").count) == 1


async def test_a_worker_that_lost_its_claim_changes_nothing(
    running: Services, provider: FakeProvider
) -> None:
    provider.enqueue(Script(Text("Too"), Gate("rest"), Text(" late"), Finish()))
    conversation = await ask()
    await provider.eventually(lambda: provider.streams)
    rows = Generation.objects.filter(conversation=conversation, purpose="reply")
    await in_database(rows.update, state=State.INTERRUPTED, attempt=2, finished_at=timezone.now())
    provider.open("rest")

    async def idle() -> bool:
        return running.worker.running == 0

    await eventually(idle)
    generation = await in_database(rows.get)
    assert (generation.state, generation.attempt) == (State.INTERRUPTED, 2)
    revision = (await in_database(Conversation.objects.get, pk=conversation)).revision
    assert revision >= 1
