"""From an accepted message to a receipt, in one process, over a real socket to the provider."""

import hashlib
import uuid

from chat import actions
from chat.database import in_database
from chat.models import Conversation, Generation, Message, Receipt, State, User
from chat.services import Services
from tests.conftest import make_user
from tests.fake_provider import FakeProvider, Finish, Gate, Script, Status, Text, reply
from tests.support import eventually


async def ask(text: str = "Hello?", user: User | None = None) -> uuid.UUID:
    user = user or await in_database(make_user, "ada")
    conversation = uuid.uuid4()
    await in_database(actions.send, user, conversation, text, uuid.uuid4().hex, may_create=True)
    return conversation


def _ended(conversation: uuid.UUID) -> Generation | None:
    return (
        Generation.objects.filter(
            conversation=conversation, purpose="reply", reconciled_at__isnull=False
        )
        .select_related("message", "receipt")
        .first()
    )


async def ended(conversation: uuid.UUID) -> Generation:
    return await eventually(lambda: in_database(_ended, conversation))


async def test_a_reply_is_saved_hashed_and_moderated(
    running: Services, provider: FakeProvider
) -> None:
    provider.enqueue(reply("Good morning."))
    generation = await ended(await ask())
    assert generation.state == State.COMPLETE
    assert generation.message.text == "Good morning."
    receipt = generation.receipt
    assert receipt.sha256 == hashlib.sha256(b"Good morning.").hexdigest()
    assert receipt.verdict == "passed"
    assert receipt.ttft_provider_ms is not None


async def test_the_provider_sees_the_conversation_so_far(
    running: Services, provider: FakeProvider
) -> None:
    conversation = await ask("First?")
    generation = await ended(conversation)
    user = await in_database(User.objects.get, username="ada")
    await in_database(actions.send, user, conversation, "Second?", "k" * 12, may_create=False)
    await provider.eventually(lambda: len(provider.streams) == 2)
    sent = [m["content"] for m in provider.streams[1].body["messages"]]
    assert sent[-3:] == ["First?", generation.message.text, "Second?"]


async def test_stopping_keeps_what_was_written_and_closes_the_provider(
    running: Services, provider: FakeProvider
) -> None:
    provider.enqueue(Script(Text("Half an ans"), Gate("rest"), Text("wer"), Finish()))
    conversation = await ask()
    generation = await in_database(Generation.objects.get, conversation=conversation)
    await eventually(lambda: in_database(_text_is, conversation, "Half an ans"))
    user = await in_database(User.objects.get, username="ada")
    await in_database(actions.stop, user, conversation)
    generation = await ended(conversation)
    assert generation.state == State.STOPPED
    assert generation.stop_reason == "user"
    assert generation.message.text == "Half an ans"
    await provider.eventually(lambda: not provider.open_streams, timeout=1)


def _text_is(conversation: uuid.UUID, text: str) -> bool:
    return Message.objects.filter(conversation=conversation, text=text).exists()


async def test_a_refused_key_fails_at_once_and_is_not_told_to_anybody(
    running: Services, provider: FakeProvider
) -> None:
    provider.enqueue(Script(Status(401)))
    generation = await ended(await ask())
    assert generation.state == State.FAILED
    assert generation.calls == 1
    assert "canary" not in generation.error_detail
    assert await in_database(Receipt.objects.count) == 1


async def test_a_conversation_gets_a_title_that_is_not_a_turn(
    running: Services, provider: FakeProvider
) -> None:
    conversation = await ask("What is a monad?")
    await ended(conversation)

    def titled() -> bool:
        return Conversation.objects.filter(pk=conversation, title="A short title").exists()

    await eventually(lambda: in_database(titled))
    assert await in_database(Message.objects.count) == 2
