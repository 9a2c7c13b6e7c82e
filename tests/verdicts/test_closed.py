"""Where nothing may pass unchecked, nothing does."""

import asyncio
import json
import threading
from datetime import timedelta
from uuid import UUID

import pytest
from django.conf import LazySettings

from chat import actions, branches, pending, sweeper
from chat.database import THREADS, in_database
from chat.engine.provider import Endpoint, Provider
from chat.models import Conversation, Generation, Message, State, User, Verdict
from chat.services import Services
from chat.verdicts import WORKERS_S
from chat.worker import judging, questions
from chat.worker.claim import claim
from tests.fake_provider import (
    FakeProvider,
    Finish,
    Gate,
    Script,
    Status,
    Text,
)
from tests.moderation.judging import answer, text_of
from tests.support import eventually
from tests.test_pipeline import ask, ended
from tests.verdicts.asking import question, settled, shown

PASSED = Status(
    200, body={"results": [{"flagged": False, "categories": {}, "category_scores": {}}]}
)


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


async def test_who_stops_while_the_question_is_checked_may_try_again_at_once(
    running: Services, provider: FakeProvider, settings: LazySettings
) -> None:
    settings.MODERATION_BACKENDS = ["local", "openai"]
    settings.MODERATION_FAIL = "closed"
    provider.override("moderations", Script(Gate("verdict"), Status(503)))
    conversation = await ask()
    await asyncio.to_thread(provider.wait_at_gate, "verdict")
    user = await in_database(User.objects.get, username="ada")
    await in_database(actions.stop, user, conversation)
    stopped = await ended(conversation)
    assert (stopped.state, stopped.stop_reason) == (State.STOPPED, "user")
    (verdict,) = await in_database(_openai, conversation)
    assert verdict.next_try_at <= verdict.created_at + timedelta(seconds=WORKERS_S)

    provider.open("verdict")
    provider.override("moderations", None)
    await in_database(branches.regenerate, user, conversation, stopped.message_id)
    await provider.eventually(lambda: provider.streams)


async def test_a_question_that_another_process_asks_about_waits_for_that_answer(
    provider: FakeProvider, settings: LazySettings, transactional_db: None
) -> None:
    settings.MODERATION_BACKENDS = ["openai"]
    settings.MODERATION_FAIL = "closed"
    client = Provider(lambda: Endpoint(provider.base_url, "key"))
    provider.override("moderations", Script(Gate("verdict"), PASSED))
    asked = await question(await ask())
    another = asyncio.create_task(pending.moderate_pending(asked.pk, client, at_once=True))
    await asyncio.to_thread(provider.wait_at_gate, "verdict")
    job = await in_database(claim, "worker")
    assert job is not None
    later: list[object] = []
    check = questions.check(job.questions, job.current, client, later.append)
    checking = asyncio.create_task(check)
    done, _ = await asyncio.wait({checking}, timeout=0.5)
    assert not done
    provider.open("verdict")
    await checking
    await another
    assert len(provider.requests) == 1
    await client.close()


def _openai(conversation: UUID) -> list[Verdict]:
    rows = Verdict.objects.filter(message__conversation=conversation, message__role="user")
    return list(rows.filter(backend="openai", state="pending"))


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
    assert "has not been checked yet" in await in_database(shown, generation.message_id)

    provider.override("moderations", None)
    await sweeper.sweep(running.provider, sweeper.Orphans())
    message = await in_database(Message.objects.get, pk=generation.message_id)
    assert message.withheld_at is None
    assert "Here you are." in await in_database(shown, generation.message_id)


async def test_a_reply_that_is_checked_in_time_never_leaves_the_page(
    running: Services, provider: FakeProvider, settings: LazySettings
) -> None:
    """Nor is it empty for a program that waits for the whole."""
    settings.MODERATION_BACKENDS = ["local", "openai"]
    settings.MODERATION_FAIL = "closed"
    generation = await ended(await ask())
    assert generation.receipt.verdict == "passed"
    assert generation.message.withheld_at is None
    asked = [
        request.body["input"] for request in provider.requests if request.kind == "moderations"
    ]
    assert asked[:2] == ["Hello?", "All is well."]  # the title comes later


async def test_a_service_that_is_too_slow_for_that_is_as_good_as_down(
    running: Services,
    provider: FakeProvider,
    settings: LazySettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(judging, "REMOTE_S", 0.1)
    settings.MODERATION_BACKENDS = ["local", "openai"]
    settings.MODERATION_FAIL = "closed"
    provider.enqueue(Script(Text("Here you"), Gate("slow"), Text(" are."), Finish()))
    conversation = await ask()
    await provider.eventually(lambda: provider.streams)
    provider.override("moderations", Script(Gate("verdict"), Status(503)))
    provider.open("slow")
    generation = await ended(conversation)
    assert (generation.state, generation.receipt.verdict) == (State.COMPLETE, "pending")
    assert generation.message.withheld_at is not None
    provider.open("verdict")


async def test_a_verdict_that_is_there_in_time_holds_however_long_the_ledger_takes(
    running: Services,
    provider: FakeProvider,
    settings: LazySettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(judging, "REMOTE_S", 2)
    settings.MODERATION_BACKENDS = ["openai"]
    settings.MODERATION_FAIL = "closed"
    settings.TITLES = False
    provider.enqueue(Script(Text("Here you"), Gate("end"), Finish()))
    conversation = await ask()
    rows = Message.objects.filter(conversation=conversation, text="Here you")
    await eventually(lambda: in_database(rows.exists))
    free = threading.Event()
    busy = [asyncio.create_task(in_database(free.wait)) for _ in range(THREADS)]
    try:
        provider.open("end")
        await provider.eventually(
            lambda: [r.finished for r in provider.requests if r.kind == "moderations"][1:] == [True]
        )
        await asyncio.sleep(judging.REMOTE_S)
    finally:
        free.set()
    await asyncio.gather(*busy)
    generation = await ended(conversation)
    assert generation.receipt.verdict == "passed"
    assert generation.message.withheld_at is None


async def test_who_stops_a_reply_that_has_ended_waits_for_no_verdict(
    running: Services,
    provider: FakeProvider,
    settings: LazySettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So a process that has to go leaves no reply behind."""
    monkeypatch.setattr(judging, "REMOTE_S", 1_000)
    settings.MODERATION_BACKENDS = ["local", "openai"]
    settings.MODERATION_FAIL = "closed"
    provider.enqueue(Script(Text("Here you"), Gate("slow"), Text(" are."), Finish()))
    conversation = await ask()
    await provider.eventually(lambda: provider.streams)
    provider.override("moderations", Script(Gate("verdict"), Status(503)))
    provider.open("slow")
    await asyncio.to_thread(provider.wait_at_gate, "verdict")
    assert running.worker is not None
    running.worker.interrupt_all()
    generation = await ended(conversation)
    assert (generation.state, generation.stop_reason) == (State.COMPLETE, "")
    assert generation.message.withheld_at is not None
    provider.open("verdict")


async def test_a_reply_that_a_process_ends_as_it_goes_is_saved_before_it_has_gone(
    running: Services, provider: FakeProvider, settings: LazySettings
) -> None:
    conversation = await _half(provider, settings)
    assert running.worker is not None
    await running.worker.drain(0)
    generation = await in_database(Generation.objects.get, conversation=conversation)
    assert (generation.state, generation.stop_reason) == (State.INTERRUPTED, "drained")
    provider.open("verdict")


async def test_who_stops_a_reply_gets_the_verdict_on_what_there_is(
    running: Services, provider: FakeProvider, settings: LazySettings
) -> None:
    """The patrol reads the stop in the row twice a second, and it hurries nobody."""
    conversation = await _half(provider, settings)
    user = await in_database(User.objects.get, username="ada")
    await in_database(actions.stop, user, conversation)
    await asyncio.to_thread(provider.wait_at_gate, "verdict")
    generation = await in_database(Generation.objects.get, conversation=conversation)
    assert running.worker is not None
    running.worker.stop(generation.pk, "user")
    provider.open("verdict")
    generation = await ended(conversation)
    assert (generation.state, generation.stop_reason) == (State.STOPPED, "user")
    assert generation.receipt.verdict == "passed"
    assert generation.message.withheld_at is None


async def _half(provider: FakeProvider, settings: LazySettings) -> UUID:
    """A reply that has begun; the verdict on it stands at a gate."""
    settings.MODERATION_BACKENDS = ["local", "openai"]
    settings.MODERATION_FAIL = "closed"
    settings.TITLES = False
    provider.enqueue(Script(Text("Here you"), Gate("never"), Finish()))
    conversation = await ask()
    rows = Message.objects.filter(conversation=conversation, text="Here you")
    await eventually(lambda: in_database(rows.exists))
    provider.override("moderations", Script(Gate("verdict"), PASSED))
    return conversation


async def test_a_reply_that_cannot_be_judged_says_that_a_reviewer_decides(
    running: Services, provider: FakeProvider, settings: LazySettings
) -> None:
    settings.MODERATION_BACKENDS = ["judge"]
    settings.MODERATION_JUDGE_MODEL = "judge-1"
    settings.MODERATION_FAIL = "closed"
    settings.TITLES = False
    provider.judge = lambda r: "safe!" if text_of(r).startswith("All") else answer(r)
    generation = await ended(await ask())
    assert (generation.state, generation.receipt.verdict) == (State.COMPLETE, "error")
    page = await in_database(shown, generation.message_id)
    assert "A reviewer decides whether it is shown" in page
    assert "All is well." not in page


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


@pytest.mark.parametrize(
    ("made", "kept"), [("A fine one", "A fine one"), ("Come and flagme", "Hello there")]
)
async def test_a_title_is_judged_by_the_remote_backends_too(
    running: Services, provider: FakeProvider, settings: LazySettings, made: str, kept: str
) -> None:
    settings.MODERATION_BACKENDS = ["openai"]
    settings.MODERATION_FAIL = "closed"
    provider.title = made
    conversation = await ask("Hello there")
    rows = Generation.objects.filter(conversation=conversation, purpose="title")
    await eventually(lambda: in_database(rows.filter(state__in=("complete", "failed")).exists))
    titles = Conversation.objects.filter(pk=conversation).values_list("title", flat=True)
    assert await in_database(titles.get) == kept
