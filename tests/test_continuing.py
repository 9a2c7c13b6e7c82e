"""A reply in several parts is moderated as what it is when it is read: one text."""

import hashlib
import uuid

import pytest
from django.conf import LazySettings

from chat import branches, reconcile
from chat.database import in_database
from chat.engine.provider import Endpoint, Provider
from chat.models import Message, Receipt, State, User
from chat.services import Services
from tests.fake_provider import FakeProvider, reply
from tests.support import eventually
from tests.talk import end, talk
from tests.test_pipeline import ask

PARTS = ("I hope that you will fla", "gme, said the fire.")  # the fake service's word
RUDE = ("What a load of bull", "shit.")


def _parts(conversation: uuid.UUID) -> list[Message]:
    """The replies of a conversation, once all of them are reconciled and judged."""
    rows = Message.objects.filter(conversation=conversation, role="assistant").order_by("pk")
    waiting = rows.filter(generation__receipt=None) | rows.filter(verdicts__state="pending")
    return [] if waiting.exists() else list(rows.select_related("generation__receipt"))


@pytest.mark.parametrize(("parts", "backend"), [(RUDE, "local"), (PARTS, "openai")])
async def test_a_word_that_is_cut_in_two_is_found(
    running: Services,
    provider: FakeProvider,
    settings: LazySettings,
    parts: tuple[str, str],
    backend: str,
) -> None:
    settings.MODERATION_BACKENDS = [backend]
    provider.enqueue(*(reply(part, finish="length") for part in parts))
    conversation = await ask()
    ada = await in_database(User.objects.get, username="ada")
    (first,) = await eventually(lambda: in_database(_parts, conversation))
    await in_database(branches.continue_reply, ada, conversation, first.pk)
    await provider.eventually(lambda: len(provider.streams) == 2)
    first, rest = await eventually(lambda: in_database(_parts, conversation))
    assert (first.text, rest.text) == parts
    assert first.generation.receipt.verdict == "passed"
    assert rest.generation.receipt.verdict == "flagged"
    assert rest.withheld_at is not None
    # The receipt proves the part alone.
    assert rest.generation.receipt.sha256 == hashlib.sha256(parts[1].encode()).hexdigest()


def test_what_stands_before_a_continuation_is_the_reply_so_far(ada: User) -> None:
    conversation, asked, first = talk(ada, "One, ", state=State.STOPPED)
    branches.continue_reply(ada, conversation, first.pk)
    second = end(conversation, "two, ", state=State.STOPPED)
    branches.continue_reply(ada, conversation, second.pk)
    third = end(conversation, "three.")
    before = [message.text_before() for message in (asked, first, second, third)]
    assert before == ["", "", "One, ", "One, two, "]
    Message.objects.filter(pk=first.pk).update(text="long " * 1_000)
    third = Message.objects.get(pk=third.pk)
    assert third.text_before().endswith("long two, ")
    assert len(third.text_before()) == 2_000


@pytest.mark.django_db(transaction=True)
async def test_the_sweeper_judges_a_continuation_in_the_same_way(ada: User) -> None:
    def crash() -> int:
        """Two parts of a reply, as a crash right after the second one leaves them."""
        conversation, _, first = talk(ada, RUDE[0], state=State.STOPPED)
        branches.continue_reply(ada, conversation, first.pk)
        return end(conversation, RUDE[1]).generation.pk

    generation = await in_database(crash)
    nobody = Provider(lambda: Endpoint("http://127.0.0.1:9", ""))
    await reconcile.reconcile(generation, nobody)
    await nobody.close()
    receipt = await in_database(Receipt.objects.get, generation=generation)
    assert receipt.verdict == "flagged"
