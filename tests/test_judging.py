"""What people write is judged before a model reads it, and a policy says what follows."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from django.conf import LazySettings
from django.utils import timezone

from chat import actions, branches, policy, reconcile, sweeper
from chat.api.actions import accept
from chat.api.requests import read
from chat.database import in_database
from chat.engine.provider import Endpoint, Provider
from chat.models import (
    ApiKey,
    Conversation,
    Generation,
    Message,
    ModerationRule,
    PolicyRule,
    Receipt,
    ReviewItem,
    State,
    User,
    Verdict,
)
from chat.models.api import digest
from chat.services import Services
from chat.worker.questions import Questions, Unjudged, check
from tests.fake_provider import (
    Cut,
    Done,
    FakeProvider,
    Finish,
    Gate,
    Reasoning,
    Script,
    Status,
    Text,
    reply,
)
from tests.moderation.judging import answer, text_of
from tests.support import eventually
from tests.talk import ask as ask_without_worker
from tests.talk import talk
from tests.test_pipeline import ask, ended

RUDE = "I will kill you, you worthless piece of shit."


async def rule(direction: str, action: str, category: str = "", **fields: Any) -> None:
    await in_database(
        PolicyRule.objects.create, direction=direction, action=action, category=category, **fields
    )


async def terms(*words: str, direction: str = "", category: str = "codename") -> None:
    await in_database(
        ModerationRule.objects.create,
        name=uuid.uuid4().hex,
        kind="term",
        pattern="\n".join(words),
        category=category,
        direction=direction,
    )


def _of(conversation: uuid.UUID, role: str) -> dict[str, tuple[str, str]]:
    rows = Verdict.objects.filter(message__conversation=conversation, message__role=role)
    return {row.backend: (row.state, row.action) for row in rows}


async def settled(conversation: uuid.UUID, role: str = "user") -> dict[str, tuple[str, str]]:
    """The verdicts on what this role said, when none is pending."""

    async def probe() -> dict[str, tuple[str, str]]:
        found = await in_database(_of, conversation, role)
        return {} if "pending" in {state for state, _ in found.values()} else found

    return await eventually(probe)


async def question(conversation: uuid.UUID) -> Message:
    return await in_database(Message.objects.get, conversation=conversation, role="user")


async def item(message_id: int) -> ReviewItem | None:
    return await in_database(ReviewItem.objects.filter(message=message_id).first)


# --- What people write ---------------------------------------------------------------------------


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


async def test_a_title_is_not_made_of_a_question_that_was_stopped(
    running: Services, provider: FakeProvider
) -> None:
    await rule("input", "stop")
    conversation = await ask(RUDE)
    await ended(conversation)
    user = await in_database(User.objects.get, username="ada")
    asked = await question(conversation)
    await in_database(branches.edit, user, conversation, asked.pk, "Hello there", "edit-key")
    requests = await provider.eventually(
        lambda: [r for r in provider.requests if r.kind == "completion"]
    )
    assert "worthless" not in json.dumps([request.body for request in requests])


async def test_a_title_that_a_model_words_badly_is_left(
    running: Services, provider: FakeProvider
) -> None:
    provider.title = RUDE
    conversation = await ask("Hello there")
    rows = Generation.objects.filter(conversation=conversation, purpose="title", state="failed")
    await eventually(lambda: in_database(rows.filter(error_kind="moderated").exists))
    titles = Conversation.objects.filter(pk=conversation).values_list("title", flat=True)
    assert await in_database(titles.get) == "Hello there"


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


@pytest_asyncio.fixture
async def key(transactional_db: None) -> AsyncIterator[ApiKey]:
    def make() -> ApiKey:
        owner = User.objects.create_user("program", "program@example.org")
        return ApiKey.objects.create(owner=owner, sha256=digest("x"), shown="x")

    yield await in_database(make)


HISTORIES = [
    [{"role": "user", "content": RUDE}],
    [{"role": "system", "content": RUDE}, {"role": "user", "content": "Hi"}],
    [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": RUDE},
        {"role": "user", "content": "Go on"},
    ],
    [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "tool_calls": [
                {
                    "id": "c",
                    "type": "function",
                    "function": {
                        "name": "say",
                        # As JSON can spell it.
                        "arguments": json.dumps({"to": RUDE}).replace("k", "\\u006b"),
                    },
                }
            ],
        },
        {"role": "tool", "tool_call_id": "c", "content": "said"},
    ],
    [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "x", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "c", "content": RUDE},
    ],
]


@pytest.mark.parametrize("messages", HISTORIES)
async def test_no_part_of_a_history_through_the_api_evades(
    running: Services, provider: FakeProvider, key: ApiKey, messages: list[dict[str, Any]]
) -> None:
    await rule("input", "stop")
    asked = read(json.dumps({"model": "fake", "messages": messages}).encode(), ["fake"], "fake")
    conversation = uuid.uuid4()
    await in_database(accept, key, asked, conversation, "")
    generation = await ended(conversation)
    assert (generation.state, generation.error_kind) == (State.FAILED, "moderated")
    assert provider.streams == []


async def test_a_long_history_is_judged_whole_and_written_down_in_a_few_statements(
    running: Services, provider: FakeProvider, key: ApiKey
) -> None:
    messages = [{"role": "user", "content": f"Question {n}?"} for n in range(300)]
    messages[150]["content"] = f"Hello. {RUDE}"
    asked = read(json.dumps({"model": "fake", "messages": messages}).encode(), ["fake"], "fake")
    conversation = uuid.uuid4()
    await in_database(accept, key, asked, conversation, "")
    await ended(conversation)

    def states() -> list[str]:
        rows = Verdict.objects.filter(message__conversation=conversation, message__role="user")
        return sorted(rows.values_list("state", flat=True))

    async def judged() -> bool:
        return await in_database(states) == ["flagged"] + ["passed"] * 299

    await eventually(judged)


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


# --- The operator's rules ------------------------------------------------------------------------


async def test_the_operator_s_rules_apply_as_soon_as_there_are_any(
    running: Services, provider: FakeProvider
) -> None:
    await terms("badger")
    await rule("output", "withhold", "codename")
    provider.enqueue(reply("The b\u0430dger is out."))
    conversation = await ask("Who knows of the BADGER?")
    generation = await ended(conversation)
    assert (await settled(conversation))["rules"] == ("flagged", "flag")
    assert (await settled(conversation, "assistant"))["rules"] == ("flagged", "withhold")
    assert generation.message.withheld_at is not None
    verdict = await in_database(Verdict.objects.get, message=generation.message_id, backend="rules")
    assert verdict.spans == [[4, 10, "codename"]]


@pytest.mark.parametrize("end", [(Text("Nothing."), Finish(), Done()), (Cut(),)])
async def test_what_is_said_in_reasoning_is_judged_too(
    running: Services, provider: FakeProvider, end: tuple[Any, ...]
) -> None:
    """It is shown, folded; a reply of nothing else has a verdict as well."""
    await terms("badger")
    await rule("output", "withhold", "codename")
    provider.enqueue(Script(Reasoning("Nobody may know of the badger."), *end))
    generation = await ended(await ask())
    assert generation.message.withheld_at is not None
    verdict = await in_database(Verdict.objects.get, message=generation.message_id, backend="rules")
    assert (verdict.state, verdict.spans) == ("flagged", [])


async def test_the_policy_may_let_pass_what_a_backend_objects_to(
    running: Services, provider: FakeProvider
) -> None:
    await rule("output", "allow")
    provider.enqueue(reply(RUDE))
    generation = await ended(await ask())
    assert generation.receipt.verdict == "passed"
    assert generation.message.withheld_at is None
    verdict = await in_database(Verdict.objects.get, message=generation.message_id)
    assert (verdict.state, bool(verdict.hits)) == ("passed", True)


# --- While it is written -------------------------------------------------------------------------


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


# --- A remote backend ----------------------------------------------------------------------------


async def test_a_judge_sees_what_is_asked_and_what_is_answered(
    running: Services, provider: FakeProvider, settings: LazySettings
) -> None:
    settings.MODERATION_BACKENDS = ["judge"]
    settings.MODERATION_JUDGE_MODEL = "judge-1"
    settings.TITLES = False
    provider.judge = lambda r: answer(r, hate=0.9 if text_of(r).startswith("All") else 0.0)
    conversation = await ask()
    assert await settled(conversation) == {"judge": ("passed", "allow")}
    assert await settled(conversation, "assistant") == {"judge": ("flagged", "withhold")}


async def test_a_judge_that_answers_nonsense_makes_a_person_look(
    running: Services, provider: FakeProvider, settings: LazySettings
) -> None:
    settings.MODERATION_BACKENDS = ["judge"]
    settings.MODERATION_JUDGE_MODEL = "judge-1"
    provider.judge = lambda request: '{"flagged": false}'
    conversation = await ask()
    assert await settled(conversation, "assistant") == {"judge": ("error", "allow")}
    generation = await ended(conversation)

    async def told() -> bool:
        receipt = await in_database(Receipt.objects.get, generation=generation)
        return receipt.verdict == "error"

    await eventually(told)
    waiting = await item(generation.message_id)
    assert waiting is not None
    assert (waiting.is_unclear, waiting.is_flagged) == (True, False)
    message = await in_database(Message.objects.get, pk=generation.message_id)
    assert message.withheld_at is None


@pytest.mark.parametrize(
    "wrong",
    [
        Script(Status(503)),
        Script(Status(429)),
        Script(Status(500, body="<html>oops</html>")),
        Script(Status(200, body="<html>Sign in</html>")),
        Script(Status(200, body={"results": []})),
        Script(Status(200, body={"results": [{"flagged": "false"}]})),
        Script(Status(200, body={"results": [{"flagged": False, "category_scores": {}}]})),
    ],
)
async def test_a_service_that_is_down_or_wrong_lets_nothing_pass(
    running: Services, provider: FakeProvider, settings: LazySettings, wrong: Script
) -> None:
    settings.MODERATION_BACKENDS = ["local", "openai"]
    provider.override("moderations", wrong)
    conversation = await ask()
    generation = await ended(conversation)
    assert generation.message.text == "All is well."

    async def tried() -> bool:
        rows = Verdict.objects.filter(backend="openai", tries=1, state="pending")
        return await in_database(rows.count) == 2  # what was asked, and the reply

    await eventually(tried)
    backlog = await in_database(sweeper.backlog)
    assert backlog["verdicts_pending"] == 2


async def test_a_slow_service_holds_nothing_up(
    running: Services, provider: FakeProvider, settings: LazySettings
) -> None:
    settings.MODERATION_BACKENDS = ["local", "openai"]
    provider.override("moderations", Script(Gate("verdict"), Status(503)))
    generation = await ended(await ask())
    assert generation.state == State.COMPLETE
    provider.open("verdict")


async def test_a_question_that_a_remote_backend_stops_ends_the_reply_to_it(
    running: Services, provider: FakeProvider, settings: LazySettings
) -> None:
    settings.MODERATION_BACKENDS = ["local", "openai"]
    await rule("input", "stop", "violence")
    provider.enqueue(Script(Text("Well, you begin by"), Gate("never"), Finish()))
    conversation = await ask("How do I flagme?")
    generation = await ended(conversation)
    assert (generation.state, generation.stop_reason) == (State.STOPPED, "moderation")
    assert generation.message.withheld_at is not None
    await provider.eventually(lambda: not provider.open_streams, timeout=1)


async def test_a_due_verdict_is_taken_by_one_process(
    ada: User, provider: FakeProvider, settings: LazySettings, transactional_db: None
) -> None:
    settings.MODERATION_BACKENDS = ["openai"]
    provider.override("moderations", Script(Gate("verdict"), Status(503)))
    message = await in_database(ask_without_worker, ada)
    await in_database(message.verdicts.update, next_try_at=timezone.now())
    client = Provider(lambda: Endpoint(provider.base_url, "key"))
    first = await in_database(reconcile._take, message.pk, "openai", False)
    assert first is not None
    assert await reconcile.moderate_pending(message.pk, client) == set()
    assert provider.requests == []
    await client.close()


# --- Closed --------------------------------------------------------------------------------------


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


# --- The queue -----------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 1.0])
async def test_a_share_of_what_passed_is_read_all_the_same(
    running: Services, provider: FakeProvider, settings: LazySettings, share: float
) -> None:
    settings.REVIEW_SAMPLE = share
    generation = await ended(await ask())
    found = await item(generation.message_id)
    assert (found is not None) == (share == 1.0)
    assert found is None or (found.is_sampled, found.is_flagged) == (True, False)


def test_what_the_worker_left_is_the_sweeper_s_when_it_is_due(ada: User) -> None:
    _, asked, _ = talk(ada)
    assert not reconcile.due().filter(message=asked).exists()
    Verdict.objects.filter(message=asked).update(next_try_at=timezone.now() - timedelta(seconds=1))
    assert reconcile.due().filter(message=asked).exists()
