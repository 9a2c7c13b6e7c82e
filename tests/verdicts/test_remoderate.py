"""When policy or rules change, what they had decided is decided anew; what a person had, is not."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import pytest_asyncio
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.utils import timezone

from chat import policy, reconcile, remoderate, sweeper
from chat.database import in_database
from chat.engine.provider import Endpoint, Provider
from chat.models import (
    Generation,
    Message,
    ModerationRule,
    PolicyRule,
    Receipt,
    ReviewItem,
    User,
    Verdict,
)
from chat.review import queue
from tests.fake_provider import FakeProvider, Script, Status
from tests.talk import talk

pytestmark = pytest.mark.django_db(transaction=True)

RUDE = "I will kill you, you worthless piece of shit."


@pytest.fixture(autouse=True)
def _never_looked() -> Iterator[None]:
    """As a process that has just started."""
    remoderate._progress = remoderate._Progress()
    yield
    remoderate._progress = remoderate._Progress()


@pytest_asyncio.fixture
async def nobody() -> AsyncIterator[Provider]:
    """A provider that nobody should ask."""
    provider = Provider(lambda: Endpoint("http://127.0.0.1:9", ""))
    yield provider
    await provider.close()


async def judged(user: User, text: str, nobody: Provider) -> Message:
    """A reply with receipt and verdicts, as they are by the present rules."""
    _, _, reply = await in_database(talk, user, text)
    generation = await in_database(Generation.objects.get, message=reply)
    await in_database(Verdict.objects.filter(message=reply.parent_id).delete)
    await reconcile.reconcile(generation.pk, nobody)
    return await again(reply)


async def again(message: Message) -> Message:
    return await in_database(Message.objects.get, pk=message.pk)


async def verdict(message: Message, backend: str = "local") -> Verdict:
    return await in_database(Verdict.objects.get, message=message, backend=backend)


async def make(model: Any, **fields: Any) -> Any:
    return await in_database(model.objects.create, **fields)


async def sweep(nobody: Provider) -> None:
    """Until there is nothing left to do."""
    for _ in range(3):
        await sweeper.sweep(nobody, sweeper.Orphans())


async def test_a_policy_that_changes_is_applied_to_the_scores_on_record(
    ada: User, nobody: Provider
) -> None:
    reply = await judged(ada, RUDE, nobody)
    assert reply.withheld_at is not None
    before = await verdict(reply)

    rule = await make(PolicyRule, direction="output", category="", action="allow")
    await sweep(nobody)
    after = await verdict(reply)
    assert (after.state, after.action) == ("passed", "allow")
    assert after.categories == before.categories
    (kept,) = after.history
    assert (kept["state"], kept["action"], kept["policy"]) == ("flagged", "withhold", before.policy)
    assert (await again(reply)).withheld_at is None
    receipt = await in_database(Receipt.objects.get, generation__message=reply)
    assert receipt.verdict == "passed"
    assert not await in_database(ReviewItem.objects.exists)  # nobody need look any more

    await in_database(rule.delete)
    await sweep(nobody)
    assert (await verdict(reply)).state == "flagged"
    assert (await again(reply)).withheld_at is not None
    assert await in_database(ReviewItem.objects.filter(message=reply, is_flagged=True).exists)


async def test_a_new_rule_is_applied_to_what_was_said_before_it(
    ada: User, nobody: Provider
) -> None:
    reply = await judged(ada, "Of badgers and a badger.", nobody)
    rule = await make(ModerationRule, name="b", kind="term", pattern="badger", category="animals")
    await sweep(nobody)
    found = await verdict(reply, "rules")
    assert (found.state, found.spans) == ("flagged", [[17, 23, "animals"]])
    assert (await again(reply)).withheld_at is not None

    rule.enabled = False
    await in_database(rule.save)
    await sweep(nobody)
    found = await verdict(reply, "rules")
    assert (found.state, found.spans, len(found.history)) == ("passed", [], 1)
    assert (await again(reply)).withheld_at is None


async def test_a_new_version_of_the_local_list_judges_the_text_again(
    ada: User, nobody: Provider
) -> None:
    reply = await judged(ada, RUDE, nobody)
    old = {"version": "0", "state": "passed", "action": "allow", "categories": {}, "hits": []}
    await in_database(Verdict.objects.filter(message=reply).update, **old)
    await in_database(Message.objects.filter(pk=reply.pk).update, withheld_at=None)
    await sweep(nobody)
    assert (await verdict(reply)).state == "flagged"
    assert (await again(reply)).withheld_at is not None


@pytest.mark.parametrize("decided", ["closed", "overridden", "escalated"])
async def test_what_a_person_has_decided_stays(ada: User, nobody: Provider, decided: str) -> None:
    reply = await judged(ada, RUDE, nobody)
    if decided == "overridden":
        await in_database(Verdict.objects.filter(message=reply).update, state="overridden")
    else:
        await in_database(ReviewItem.objects.filter(message=reply).update, state=decided)
    await make(PolicyRule, direction="output", category="", action="allow")
    await sweep(nobody)
    assert (await verdict(reply)).history == []
    assert (await again(reply)).withheld_at is not None


async def test_a_remote_backend_is_not_asked_again_by_itself(
    ada: User, provider: FakeProvider, nobody: Provider, settings: LazySettings
) -> None:
    settings.MODERATION_BACKENDS = ["openai"]
    reply = await judged(ada, "flagme", nobody)
    await in_database(
        Verdict.objects.filter(message=reply).update,
        state="flagged",
        action="withhold",
        policy="another",
        categories={"violence": 0.9},
        hits=["violence"],
        next_try_at=None,
    )
    await make(PolicyRule, direction="output", category="violence", action="flag")
    await sweep(nobody)
    assert ((await verdict(reply, "openai")).action, provider.requests) == ("flag", [])


async def test_what_is_older_than_a_month_is_left_until_somebody_asks(
    ada: User, nobody: Provider
) -> None:
    reply = await judged(ada, RUDE, nobody)
    long_ago = timezone.now() - timedelta(days=40)
    await in_database(Message.objects.filter(pk=reply.pk).update, created_at=long_ago)
    await make(PolicyRule, direction="output", category="", action="allow")
    await sweep(nobody)
    assert (await verdict(reply)).state == "flagged"
    output = StringIO()
    await asyncio.to_thread(call_command, "remoderate", "--days", "60", stdout=output)
    assert (await verdict(reply)).state == "passed"
    assert "1 verdicts judged again" in output.getvalue()


async def test_nothing_is_looked_for_while_nothing_has_changed(ada: User, nobody: Provider) -> None:
    reply = await judged(ada, RUDE, nobody)
    await sweep(nobody)
    current = await in_database(policy.current)
    assert remoderate._progress.versions[0] == current.version
    await in_database(Verdict.objects.filter(message=reply).update, policy="older")
    assert await remoderate.some(nobody) == 0
    assert remoderate._progress.clean_at is not None
    remoderate._progress.clean_at -= remoderate.LOOK_AGAIN_S
    assert await remoderate.some(nobody) == 1


async def test_a_new_policy_reaches_all_of_a_month_batch_by_batch(
    ada: User, nobody: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remoderate, "BATCH", 2)
    replies = [await judged(ada, text, nobody) for text in (RUDE, "Fine.", RUDE, "Good.", RUDE)]
    await sweep(nobody)
    await make(PolicyRule, direction="output", category="", action="flag")
    assert await remoderate.some(nobody) == len(replies)
    found = [await verdict(reply) for reply in replies]
    assert {verdict.policy for verdict in found} == {(await in_database(policy.current)).version}
    assert [verdict.action for verdict in found] == ["flag", "allow", "flag", "allow", "flag"]
    # What says the same as before has no earlier opinion to keep.
    assert [len(verdict.history) for verdict in found] == [1, 0, 1, 0, 1]


async def test_a_first_rule_reaches_all_of_a_month_batch_by_batch(
    ada: User, nobody: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remoderate, "BATCH", 2)
    replies = [await judged(ada, "Of badgers and a badger.", nobody) for _ in range(5)]
    await sweep(nobody)
    await make(ModerationRule, name="b", kind="term", pattern="badger", category="animals")
    assert await remoderate.some(nobody) == len(replies)
    assert [(await verdict(reply, "rules")).state for reply in replies] == ["flagged"] * 5


async def test_of_two_processes_that_judge_again_one_does(ada: User, nobody: Provider) -> None:
    reply = await judged(ada, RUDE, nobody)
    await make(PolicyRule, direction="output", category="", action="flag")
    await make(ModerationRule, name="b", kind="term", pattern="badger", category="animals")
    current = await in_database(policy.current)
    read = await in_database(remoderate._listed, remoderate.stale(current, 30))
    for _ in range(2):
        await remoderate._revise(read, nobody, current, "")
    found = await verdict(reply)
    assert (found.action, [before["action"] for before in found.history]) == ("flag", ["withhold"])


async def test_a_batch_that_another_process_has_is_left_to_it_until_it_dies(
    ada: User, nobody: Provider
) -> None:
    replies = [await judged(ada, RUDE, nobody) for _ in range(3)]
    await make(PolicyRule, direction="output", category="", action="flag")
    await make(ModerationRule, name="b", kind="term", pattern="badger", category="animals")
    current = await in_database(policy.current)
    rows = remoderate.stale(current, 30).order_by("-message", "-pk")
    first, *_ = await in_database(remoderate._listed, rows)
    won = await asyncio.gather(*(in_database(remoderate._take, first) for _ in range(4)))
    (until,) = (each for each in won if each)

    assert await remoderate.some(nobody) == 0
    assert remoderate._progress.clean_at is None
    assert {(await verdict(reply)).action for reply in replies} == {"withhold"}

    earlier = until - timedelta(seconds=2 * remoderate.LEASE_S)
    await in_database(Verdict.objects.filter(pk=first.pk).update, next_try_at=earlier)
    assert await remoderate.some(nobody) == 2 * len(replies)
    assert {(await verdict(reply)).action for reply in replies} == {"flag"}
    # Else nobody could begin anew when the policy is changed once more.
    assert not await in_database(Verdict.objects.exclude(next_try_at=None).exists)


async def test_what_another_process_has_revised_meanwhile_is_not_taken_for_what_was_read(
    ada: User, nobody: Provider
) -> None:
    """By a policy of its own, which was changed again at once; else nobody would look any more."""
    reply = await judged(ada, "Fine.", nobody)
    await make(PolicyRule, direction="output", category="", action="flag")
    current = await in_database(policy.current)
    read = await in_database(remoderate._listed, remoderate.stale(current, 30))
    revised = {"policy": "yet another", "state": "flagged", "action": "withhold"}
    rows = Verdict.objects.filter(message=reply)
    await in_database(rows.update, **revised)
    await remoderate._revise(read, nobody, current, "")
    found = await verdict(reply)
    assert {name: getattr(found, name) for name in revised} == revised
    await sweep(nobody)
    assert (await verdict(reply)).state == "passed"


async def test_the_command_asks_a_backend_again_that_is_named(
    ada: User, provider: FakeProvider, nobody: Provider, settings: LazySettings
) -> None:
    settings.MODERATION_BACKENDS = ["openai"]
    reply = await judged(ada, "flagme", nobody)
    await in_database(Verdict.objects.filter(message=reply).update, state="passed", policy="older")
    provider.override("moderations", Script(Status(503)))
    with pytest.raises(CommandError, match="unavailable"):
        await asyncio.to_thread(
            call_command, "remoderate", "--backend", "openai", stdout=StringIO()
        )
    provider.override("moderations", None)
    await asyncio.to_thread(
        call_command, "remoderate", "--backend", "openai", "--all", stdout=StringIO()
    )
    assert (await verdict(reply, "openai")).state == "flagged"


async def test_an_open_item_that_was_only_reported_does_not_keep_a_verdict_from_changing(
    ada: User, nobody: Provider
) -> None:
    reply = await judged(ada, RUDE, nobody)
    await in_database(queue.put, reply.pk, reported=True)
    await make(PolicyRule, direction="output", category="", action="allow")
    await sweep(nobody)
    assert (await again(reply)).withheld_at is None
    waiting = await in_database(ReviewItem.objects.get, message=reply)
    assert (waiting.state, waiting.is_reported) == ("open", True)


@pytest.mark.parametrize("how", ["taken", "sampled", "repeat"])
async def test_what_a_reviewer_has_to_do_with_or_was_drawn_stays_in_the_queue(
    ada: User, nobody: Provider, how: str
) -> None:
    reply = await judged(ada, RUDE, nobody)
    given = {"assignee": ada} if how == "taken" else {f"is_{how}": True}
    await in_database(ReviewItem.objects.filter(message=reply).update, **given)
    await make(PolicyRule, direction="output", category="", action="allow")
    await sweep(nobody)
    assert await in_database(ReviewItem.objects.filter(message=reply).exists)


def test_the_backlog_says_how_long_the_oldest_has_waited(ada: User) -> None:
    assert sweeper.backlog()["oldest_pending_s"] == 0
    talk(ada)
    earlier = timezone.now() - timedelta(minutes=5)
    Verdict.objects.update(created_at=earlier)
    assert 299 <= sweeper.backlog()["oldest_pending_s"] <= 360
    assert sweeper.verdict_counts()["pending"] == 1
