"""Of what is queued a worker claims a few at a time, replies first, and loses none of them."""

import pytest
from django.db import DatabaseError
from django.utils import timezone

from chat import titles
from chat.models import Generation, Purpose, State, User
from chat.worker import claim
from chat.worker.claim import claim_some
from tests.talk import ask, prove, talk


@pytest.fixture
def queued(ada: User, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Twelve replies that wait, the oldest first."""
    monkeypatch.setattr("chat.actions.refuse_too_many", lambda user: None)
    messages = [ask(ada, f"No. {number}") for number in range(12)]
    generations = Generation.objects.filter(conversation__in=[m.conversation for m in messages])
    return list(generations.order_by("pk").values_list("pk", flat=True))


def claimed(monkeypatch: pytest.MonkeyPatch, titles: int = 0) -> list[int]:
    monkeypatch.setattr(claim, "SOME_S", 60)
    return [job.generation_id for job in claim_some("me", titles=titles)]


def test_a_few_at_a_time_the_oldest_first(
    queued: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert claimed(monkeypatch) == queued[: claim.SOME]
    assert claimed(monkeypatch) == queued[claim.SOME :]
    assert claimed(monkeypatch) == []


def test_one_at_least_however_long_it_takes(
    queued: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "SOME_S", 1e-9)
    assert [job.generation_id for job in claim_some("me", titles=0)] == queued[:1]


def test_no_more_titles_than_may_run(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        conversation, _asked, reply = talk(ada)
        prove(reply)
        Generation.objects.filter(message=reply).update(finished_at=timezone.now())
        titles.request(conversation, "fake")
    waiting = Generation.objects.filter(purpose=Purpose.TITLE, state=State.QUEUED)
    assert claimed(monkeypatch) == []
    assert len(claimed(monkeypatch, titles=2)) == 2
    assert waiting.count() == 1


def test_what_was_claimed_before_the_database_went_away_is_begun(
    queued: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, one = 0, claim.claim

    def away_at_the_third(*args: object, **kwargs: object) -> object:
        nonlocal begun
        begun += 1
        if begun >= 3:
            raise DatabaseError
        return one(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(claim, "claim", away_at_the_third)
    assert claimed(monkeypatch) == queued[:2]
    with pytest.raises(DatabaseError):
        claim_some("me", titles=0)
