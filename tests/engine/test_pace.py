"""How a reply grew and how evenly: exact where it says so, bounded however long the reply."""

import math
import time
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from chat.engine.pace import Gaps, Growth, Pace

steps = st.lists(
    st.tuples(st.integers(0, 200), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=300
)
gaps = st.lists(st.floats(0, 600_000), min_size=1, max_size=200)


def grown(pieces: list[tuple[int, int, int]], points_max: int) -> tuple[Growth, list[tuple]]:
    growth = Growth(points_max)
    fed, ms, text, reasoning = [], 0, 0, 0
    for wait, more_text, more_reasoning in pieces:
        ms, text, reasoning = ms + wait, text + more_text, reasoning + more_reasoning
        growth.add(ms, text, reasoning)
        fed.append((ms, text, reasoning))
    return growth, fed


@given(steps, st.integers(3, 40))
def test_points_are_few_in_order_true_and_keep_both_ends(
    pieces: list[tuple[int, int, int]], points_max: int
) -> None:
    growth, fed = grown(pieces, points_max)
    assert len(growth.points) <= points_max
    assert growth.points[0] == fed[0]
    assert growth.points[-1] == fed[-1]
    assert set(growth.points) <= set(fed)  # each was so at its time
    assert growth.points == sorted(growth.points)


def test_a_very_long_reply_has_four_thousand_points_evenly_spread() -> None:
    growth, _fed = grown([(25, 1, 0)] * 30_000, 4_000)
    times = [ms for ms, _, _ in growth.points]
    assert 1_500 < len(times) <= 4_000
    assert max(b - a for a, b in pairwise(times)) <= 400


def test_what_comes_within_a_frame_is_one_point() -> None:
    growth, _fed = grown([(5, 1, 0)] * 100, 4_000)
    assert len(growth.points) <= 35  # of 500 ms


@given(gaps, st.sampled_from([0.05, 0.5, 0.95, 1.0]))
def test_percentiles_are_those_of_the_sorted_gaps_to_within_5_percent(
    waits: list[float], share: float
) -> None:
    found = Gaps()
    for wait in waits:
        found.add(wait)
    exact = sorted(waits)[max(1, math.ceil(share * len(waits))) - 1]
    value = found.percentile(share)
    assert value is not None
    assert value == 0 if exact <= 0.1 else math.isclose(value, exact, rel_tol=0.05)


def test_of_nothing_there_is_no_percentile() -> None:
    assert Gaps().percentile(0.95) is None


def test_gaps_are_between_pieces_of_text_of_one_request() -> None:
    pace = Pace()
    pace.request(100.0)
    pace.take(100.2, 0, 0, 5)  # reasoning
    pace.take(100.5, 1, 1, 5)
    pace.take(100.6, 1, 2, 5)
    pace.request(160.0)  # a tool took a minute
    pace.take(160.3, 1, 3, 5)
    pace.take(160.4, 1, 4, 5)
    assert math.isclose(pace.gaps.percentile(1.0) or 0, 100, rel_tol=0.05)
    # Neither the wait for the first token nor the tool's time is writing.
    assert math.isclose(pace.writing_s, 0.4 + 0.1)
    assert pace.growth.points[0] == (200, 0, 5)
    assert pace.growth.points[-1] == (60_400, 4, 5)


def test_what_comes_together_comes_without_a_gap() -> None:
    pace = Pace()
    pace.request(0.0)
    for batch in range(1, 11):
        pace.take(batch / 10, 10, batch * 10, 0)
    assert pace.gaps.percentile(0.5) == 0.0
    assert math.isclose(pace.gaps.percentile(0.95) or 0, 100, rel_tol=0.05)


def test_deltas_without_characters_make_no_points() -> None:
    pace = Pace()
    pace.request(0.0)
    pace.take(0.5, 0, 0, 0)  # a tool call
    assert pace.growth.points == []


def test_it_costs_next_to_nothing() -> None:
    pace = Pace()
    pace.request(0.0)
    count = 50_000
    before = time.process_time()
    for number in range(1, count):
        pace.take(number / 50, 1, number, 0)
    assert (time.process_time() - before) / count < 20e-6  # a few µs where nothing else runs
