"""What a model writes is judged by backends and rules; the policy says what follows."""

from typing import Any

import pytest
from django.conf import LazySettings

from chat.database import in_database
from chat.models import (
    Verdict,
)
from chat.services import Services
from tests.fake_provider import (
    Cut,
    Done,
    FakeProvider,
    Finish,
    Reasoning,
    Script,
    Text,
    reply,
)
from tests.test_pipeline import ask, ended
from tests.verdicts.asking import RUDE, item, rule, settled, terms


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


@pytest.mark.parametrize("share", [0.0, 1.0])
async def test_a_share_of_what_passed_is_read_all_the_same(
    running: Services, provider: FakeProvider, settings: LazySettings, share: float
) -> None:
    settings.REVIEW_SAMPLE = share
    generation = await ended(await ask())
    found = await item(generation.message_id)
    assert (found is not None) == (share == 1.0)
    assert found is None or (found.is_sampled, found.is_flagged) == (True, False)
