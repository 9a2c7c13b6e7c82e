"""A backend that is asked over the network may be slow, down or wrong: nothing passes by that."""

import pytest
from django.conf import LazySettings
from django.utils import timezone

from chat import pending, sweeper
from chat.database import in_database
from chat.engine.provider import Endpoint, Provider
from chat.models import (
    Message,
    Receipt,
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
from tests.moderation.judging import answer, text_of
from tests.support import eventually
from tests.talk import ask as ask_without_worker
from tests.test_pipeline import ask, ended
from tests.verdicts.asking import item, rule, settled


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
    first = await in_database(pending._take, message.pk, "openai", False)
    assert first is not None
    assert await pending.moderate_pending(message.pk, client) == set()
    assert provider.requests == []
    await client.close()
