"""Events come in order, to everyone, once; nothing is written after the end or by a stranger."""

import pytest

from chat.engine.events import Ended, Event, Outcome, Requested, TextDelta
from chat.engine.log import LogClosed, MemoryLog, StaleAttempt, Subscription

ENDED = Ended(Outcome.COMPLETE)


def texts(words: str) -> list[Event]:
    return [TextDelta(word) for word in words.split()]


@pytest.fixture
def log() -> MemoryLog:
    """With generation 7 open for attempt 1."""
    made = MemoryLog()
    made.open(7, 1)
    return made


class Bell:
    """Counts how often it was rung."""

    rung = 0

    def __call__(self) -> None:
        self.rung += 1


def follow(log: MemoryLog, after: int = 0) -> tuple[Subscription, Bell]:
    bell = Bell()
    return log.subscribe(7, bell, after), bell


def test_events_are_taken_in_order_and_once(log: MemoryLog) -> None:
    viewer, _ = follow(log)
    log.append(7, 1, texts("a b"))
    log.append(7, 1, texts("c"))
    assert viewer.take() == texts("a b c")
    assert viewer.take() == []
    log.append(7, 1, [ENDED])
    assert viewer.take() == [ENDED]


def test_the_cursor_counts_what_was_taken(log: MemoryLog) -> None:
    viewer, _ = follow(log)
    log.append(7, 1, texts("a b"))
    assert viewer.cursor == 0
    viewer.take()
    assert viewer.cursor == 2
    log.append(7, 1, texts("c"))


def test_a_late_viewer_gets_everything_or_what_it_lacks(log: MemoryLog) -> None:
    log.append(7, 1, texts("a b c"))
    assert follow(log)[0].take() == texts("a b c")
    assert follow(log, after=2)[0].take() == texts("c")
    assert follow(log, after=3)[0].take() == []


def test_a_viewer_ahead_of_the_log_gets_nothing_twice(log: MemoryLog) -> None:
    viewer, bell = follow(log, after=2)
    log.append(7, 1, texts("a b"))
    assert viewer.take() == []
    log.append(7, 1, texts("c"))
    assert viewer.take() == texts("c")
    assert bell.rung == 2


def test_two_viewers_each_have_their_own_place(log: MemoryLog) -> None:
    first, _ = follow(log)
    second, _ = follow(log)
    log.append(7, 1, texts("a"))
    assert first.take() == texts("a")
    log.append(7, 1, texts("b"))
    assert second.take() == texts("a b")
    assert first.take() == texts("b")


def test_the_bell_rings_once_per_append_and_for_what_is_already_there(log: MemoryLog) -> None:
    _, early = follow(log)
    assert early.rung == 0
    log.append(7, 1, texts("a b c"))
    assert early.rung == 1
    _, late = follow(log)
    _, current = follow(log, after=3)
    assert (late.rung, current.rung) == (1, 0)


def test_a_closed_subscription_is_not_rung(log: MemoryLog) -> None:
    viewer, bell = follow(log)
    viewer.close()
    viewer.close()
    log.append(7, 1, texts("a"))
    assert bell.rung == 0


def test_two_subscriptions_may_share_a_bell(log: MemoryLog) -> None:
    bell = Bell()
    first, second = log.subscribe(7, bell), log.subscribe(7, bell)
    first.close()
    log.append(7, 1, texts("a"))
    assert bell.rung == 1
    assert second.take() == texts("a")


def test_a_viewer_may_leave_or_come_while_the_bell_rings(log: MemoryLog) -> None:
    def wake() -> None:
        viewer.close()
        follow(log)

    viewer = log.subscribe(7, wake)
    log.append(7, 1, texts("a"))
    log.append(7, 1, texts("b"))


def test_an_older_attempt_is_refused(log: MemoryLog) -> None:
    log.open(7, 2)
    with pytest.raises(StaleAttempt):
        log.append(7, 1, texts("zombie"))
    with pytest.raises(StaleAttempt):
        log.open(7, 1)
    with pytest.raises(StaleAttempt):
        log.append(7, 3, texts("never opened"))
    log.append(7, 2, texts("a"))
    assert follow(log)[0].take() == texts("a")


def test_nothing_comes_after_the_end(log: MemoryLog) -> None:
    log.append(7, 1, [ENDED])
    for late in ([TextDelta("late")], [ENDED]):
        with pytest.raises(LogClosed):
            log.append(7, 1, late)
    assert follow(log)[0].take() == [ENDED]


def test_the_end_is_told_even_if_something_stands_behind_it(log: MemoryLog) -> None:
    viewer, bell = follow(log)
    with pytest.raises(LogClosed):
        log.append(7, 1, [TextDelta("a"), ENDED, TextDelta("late")])
    assert viewer.take() == [TextDelta("a"), ENDED]
    assert bell.rung == 1


def test_generations_do_not_mix(log: MemoryLog) -> None:
    log.open(8, 1)
    viewer, bell = follow(log)
    log.append(8, 1, texts("other"))
    assert viewer.take() == []
    assert bell.rung == 0


def test_a_log_can_be_followed_before_it_is_opened() -> None:
    log = MemoryLog()
    viewer, bell = follow(log)
    log.open(7, 1)
    log.append(7, 1, [Requested(1)])
    assert bell.rung == 1
    assert viewer.take() == [Requested(1)]


def test_a_dropped_log_is_forgotten_and_its_viewers_keep_what_they_have(log: MemoryLog) -> None:
    viewer, _ = follow(log)
    log.append(7, 1, texts("a b"))
    log.drop(7)
    log.drop(7)
    assert len(log) == 0
    assert viewer.take() == texts("a b")
    viewer.close()
    with pytest.raises(StaleAttempt):
        log.append(7, 1, texts("zombie"))
    assert len(log) == 0


def test_who_waits_in_vain_leaves_nothing_behind() -> None:
    log = MemoryLog()
    first, _ = follow(log)
    second, _ = follow(log)
    first.close()
    assert len(log) == 1
    second.close()
    assert len(log) == 0


def test_a_viewer_of_a_dropped_log_takes_no_newer_one_away() -> None:
    log = MemoryLog()
    old, _ = follow(log)
    log.drop(7)
    waiting, bell = follow(log)
    old.close()
    log.open(7, 1)
    log.append(7, 1, texts("a"))
    assert bell.rung == 1
    assert waiting.take() == texts("a")


async def test_a_log_knows_whether_somebody_follows_or_ever_has(log: MemoryLog) -> None:
    assert not (await log.audience([7]))[7].seen
    viewer, _ = follow(log)
    assert (await log.audience([7]))[7] == (0.0, True)
    viewer.close()
    alone_s, seen = (await log.audience([7, 8]))[7]
    assert alone_s > 0
    assert seen
