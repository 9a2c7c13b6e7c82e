"""The figures, from rows whose sums are known."""

from datetime import timedelta

import pytest
from django.utils import timezone

from chat.models import Generation, Purpose, State, User
from chat.operate import figures
from chat.operate.figures import DAY, HOUR, Counted, Seen, Spread, Waiting
from tests.admin.rows import judge, make_conversation, make_title, reply, say

from .conftest import Answered

pytestmark = pytest.mark.django_db

LONG_AGO, YESTERDAY, EARLIER, NOW = (timedelta(hours=hours) for hours in (48, 23, 2, 0))


def test_nothing_is_counted_where_there_is_nothing() -> None:
    now = timezone.now()
    assert figures.active() == {}
    assert figures.unreconciled() == figures.pending_verdicts() == Waiting()
    assert figures.workers(now) == []
    assert figures.counted("state", now) == []
    assert figures.spread("ttft_served_ms", DAY, now) == Spread(0, None, None)


def test_what_is_queued_and_what_is_written_with_the_oldest_of_each(
    ada: User, answered: Answered
) -> None:
    answered(timedelta(minutes=9), state=State.QUEUED)
    answered(timedelta(minutes=3), state=State.QUEUED)
    answered(timedelta(minutes=1), state=State.STREAMING)
    answered(NOW)
    make_title(make_conversation(ada), state=State.QUEUED)
    found = figures.active()
    assert {key: waiting.count for key, waiting in found.items()} == {
        (Purpose.REPLY, State.QUEUED): 2,
        (Purpose.REPLY, State.STREAMING): 1,
        (Purpose.TITLE, State.QUEUED): 1,
    }
    oldest = found[Purpose.REPLY, State.QUEUED].oldest
    assert oldest is not None
    assert timedelta(minutes=9) <= timezone.now() - oldest < timedelta(minutes=10)


def test_the_backlog_is_of_replies_that_ended(ada: User, answered: Answered) -> None:
    ended = timezone.now() - timedelta(minutes=5)
    answered(EARLIER, state=State.STOPPED, receipt=False, finished_at=ended)
    answered(NOW, state=State.FAILED, receipt=False)
    answered(NOW, state=State.STREAMING)
    make_title(make_conversation(ada))  # titles have no receipt
    pending = judge(answered(NOW), "pending", backend="openai")
    assert figures.unreconciled() == Waiting(2, ended)
    assert figures.pending_verdicts() == Waiting(1, pending.created_at)


def test_replies_are_counted_by_their_end_in_two_spans(ada: User, answered: Answered) -> None:
    answered(LONG_AGO)
    answered(YESTERDAY)
    answered(YESTERDAY, state=State.STOPPED, stop_reason="user")
    answered(EARLIER, state=State.STOPPED, stop_reason="user")
    answered(EARLIER, state=State.INTERRUPTED, stop_reason="orphaned")
    answered(NOW)
    answered(NOW, state=State.STOPPED, stop_reason="user")
    answered(NOW, state=State.FAILED, error_kind="rate_limited")
    answered(NOW, state=State.STREAMING)
    make_title(make_conversation(ada))
    now = timezone.now()
    assert set(figures.counted("state", now)) == {
        Counted("complete", 1, 2),
        Counted("stopped", 1, 3),
        Counted("interrupted", 0, 1),
        Counted("failed", 1, 1),
        Counted("streaming", 1, 1),
    }
    assert figures.counted("stop_reason", now) == [
        Counted("user", 1, 3),
        Counted("orphaned", 0, 1),
    ]
    assert figures.counted("error_kind", now) == [Counted("rate_limited", 1, 1)]


@pytest.mark.parametrize(
    ("values", "p50", "p95"),
    [
        ([7.5], 7.5, 7.5),
        ([1.0, 2.0], 1.0, 2.0),
        ([3.0, 1.0, 2.0], 2.0, 3.0),
        ([5.0, 5.0, 5.0, 9.0], 5.0, 9.0),
        ([float(number) for number in range(20, 0, -1)], 10.0, 19.0),
        ([float(number) for number in range(21, 0, -1)], 11.0, 20.0),
    ],
)
def test_percentiles_are_values_that_were_measured(
    ada: User, values: list[float], p50: float, p95: float
) -> None:
    conversation = make_conversation(ada)
    asked = say(conversation, "Hello?")
    for value in values:
        reply(asked, "Yes.", ttft_served_ms=value, ttft_provider_ms=None)
    now = timezone.now()
    assert figures.spread("ttft_served_ms", HOUR, now) == Spread(len(values), p50, p95)
    assert figures.spread("ttft_provider_ms", HOUR, now) == Spread(0, None, None)


def test_the_two_spans_have_percentiles_of_their_own(answered: Answered) -> None:
    answered(LONG_AGO, ttft_served_ms=9_000.0)
    answered(EARLIER, ttft_served_ms=800.0)
    answered(NOW, ttft_served_ms=200.0)
    now = timezone.now()
    assert figures.spread("ttft_served_ms", HOUR, now) == Spread(1, 200.0, 200.0)
    assert figures.spread("ttft_served_ms", DAY, now) == Spread(2, 200.0, 800.0)


def test_the_time_of_a_whole_reply_is_none_to_a_first_token(answered: Answered) -> None:
    answered(NOW, ttft_served_ms=9_000.0, ttft_provider_ms=100.0, transport="api_whole")
    answered(NOW, ttft_served_ms=200.0, ttft_provider_ms=100.0, transport="api")
    now = timezone.now()
    assert figures.spread("ttft_served_ms", HOUR, now) == Spread(1, 200.0, 200.0)
    assert figures.spread("ttft_provider_ms", HOUR, now) == Spread(2, 100.0, 100.0)


def test_workers_are_seen_by_what_they_have_claimed(answered: Answered) -> None:
    now = timezone.now()
    before = now - timedelta(hours=2)
    answered(LONG_AGO, claimed_by="forgotten", heartbeat_at=now - LONG_AGO)
    answered(EARLIER, claimed_by="old", heartbeat_at=before)
    answered(EARLIER, claimed_by="busy", heartbeat_at=before)
    answered(NOW, claimed_by="busy", heartbeat_at=now, state=State.STREAMING)
    answered(NOW, state=State.QUEUED)
    assert figures.workers(now) == [Seen("busy", now, 1, 2), Seen("old", before, 0, 1)]


def test_the_past_is_bounded_by_ids(answered: Answered) -> None:
    answered(LONG_AGO)
    recent = answered(EARLIER)
    rows = figures.since(DAY, timezone.now())
    assert list(rows) == [Generation.objects.get(message=recent)]
