"""What people write is judged before a model reads it."""

import asyncio
import json
from datetime import timedelta

import pytest
from django.utils import timezone

from chat import actions, branches, pending, policy
from chat.database import in_database
from chat.models import (
    Conversation,
    Generation,
    State,
    User,
    Verdict,
)
from chat.services import Services
from chat.worker.questions import Questions, Unjudged, check
from tests.fake_provider import (
    FakeProvider,
    reply,
)
from tests.support import eventually
from tests.talk import ask as ask_without_worker
from tests.talk import talk
from tests.test_pipeline import ask, ended
from tests.verdicts.asking import RUDE, item, question, rule, settled, terms


def test_a_message_is_made_together_with_its_pending_verdicts(ada: User) -> None:
    message = ask_without_worker(ada)
    verdict = message.verdicts.get()
    assert (verdict.backend, verdict.state, verdict.tries) == ("local", "pending", 0)
    actions.stop(ada, message.conversation_id)
    edited = branches.edit(ada, message.conversation_id, message.pk, "Hello!", "edit-key").message
    assert edited.verdicts.get().state == "pending"


async def test_what_is_asked_is_judged_and_answered(
    running: Services, provider: FakeProvider
) -> None:
    conversation = await ask("Good morning!")
    await ended(conversation)
    assert await settled(conversation) == {"local": ("passed", "allow")}
    verdict = await in_database(Verdict.objects.get, message__role="user")
    assert (verdict.version != "", len(verdict.policy), verdict.tries) == (True, 12, 1)
    assert await item(verdict.message_id) is None


async def test_what_is_found_in_a_question_is_flagged_for_review_and_answered(
    running: Services, provider: FakeProvider
) -> None:
    conversation = await ask(f"Hello. {RUDE}")
    generation = await ended(conversation)
    assert generation.state == State.COMPLETE
    assert await settled(conversation) == {"local": ("flagged", "flag")}
    asked = await question(conversation)
    assert asked.withheld_at is None
    waiting = await item(asked.pk)
    assert waiting is not None
    assert (waiting.is_flagged, waiting.score > 0.4) == (True, True)
    verdict = await in_database(Verdict.objects.get, message=asked)
    start, end, _ = verdict.spans[0]
    assert asked.text[start:end] == RUDE


@pytest.mark.parametrize("action", ["stop", "withhold"])
async def test_a_question_that_is_stopped_reaches_no_model(
    running: Services, provider: FakeProvider, action: str
) -> None:
    await rule("input", action)
    conversation = await ask(RUDE)
    generation = await ended(conversation)
    assert (generation.state, generation.error_kind) == (State.FAILED, "moderated")
    assert provider.requests == []
    assert await settled(conversation) == {"local": ("flagged", action)}
    asked = await question(conversation)
    assert asked.text == RUDE
    assert (asked.withheld_at is not None) == (action == "withhold")
    titles = Conversation.objects.filter(pk=conversation).values_list("title", flat=True)
    assert await in_database(titles.get) == ""
    # Trying again, and asking something else behind it, change nothing.
    user = await in_database(User.objects.get, username="ada")
    await in_database(branches.regenerate, user, conversation, generation.message_id)

    def failures() -> int:
        return Generation.objects.filter(
            error_kind="moderated", reconciled_at__isnull=False
        ).count()

    async def twice() -> bool:
        return await in_database(failures) == 2

    await eventually(twice)
    await in_database(actions.send, user, conversation, "And now?", "next-key", may_create=False)
    await provider.eventually(lambda: provider.streams)
    assert "worthless" not in json.dumps([request.body for request in provider.requests])


async def test_many_short_messages_leave_the_loop_its_turns(
    running: Services, provider: FakeProvider
) -> None:
    turns = 0

    async def tick() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    unjudged = tuple(Unjudged(-n, ("local",), "Hi.") for n in range(100))
    current = await in_database(policy.current)
    ticking = asyncio.create_task(tick())
    await check(Questions(unjudged), current, running.provider, lambda work: work.close())
    ticking.cancel()
    assert turns >= 100


@pytest.mark.parametrize("text", ["\ud83d", "\u200b" * 9_000, "a" * 31_000, "1 " * 15_000])
async def test_nothing_that_is_typed_keeps_a_reply_from_its_receipt(
    running: Services, provider: FakeProvider, text: str
) -> None:
    await terms("badger")
    await rule("output", "stop")
    provider.enqueue(reply(f"Echo: {text}", size=999))
    conversation = await ask(text.replace("\ud83d", "?") or "x")
    generation = await ended(conversation)
    assert generation.state == State.COMPLETE
    assert {state for state, _ in (await settled(conversation)).values()} == {"passed"}


async def test_a_backend_that_breaks_makes_a_person_look(
    running: Services, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("chat.moderation.local._scores", broken)
    conversation = await ask()
    generation = await ended(conversation)
    assert generation.receipt.verdict == "error"
    assert generation.message.withheld_at is None
    assert await settled(conversation) == {"local": ("error", "allow")}
    waiting = await item(generation.message_id)
    assert waiting is not None
    assert waiting.is_unclear


def test_what_the_worker_left_is_the_sweeper_s_when_it_is_due(ada: User) -> None:
    _, asked, _ = talk(ada)
    assert not pending.due().filter(message=asked).exists()
    Verdict.objects.filter(message=asked).update(next_try_at=timezone.now() - timedelta(seconds=1))
    assert pending.due().filter(message=asked).exists()
