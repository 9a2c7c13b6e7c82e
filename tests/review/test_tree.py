"""The order in which a tree of messages is read."""

from hypothesis import given
from hypothesis import strategies as st

from chat.review.tree import places

Parents = dict[int, int | None]


@st.composite
def trees(draw: st.DrawFn) -> Parents:
    size = draw(st.integers(0, 30))
    return {n: draw(st.none() | st.integers(1, n - 1)) if n > 1 else None for n in range(1, size)}


def order(parents: Parents, head: int | None = None) -> list[int]:
    return [place.id for place in places(parents, head)]


def test_a_branch_is_read_to_its_end_before_the_next_version() -> None:
    assert order({1: None, 2: 1, 3: 2, 4: 1, 5: 4, 6: None}) == [1, 2, 3, 4, 5, 6]
    assert order({1: None, 2: 1, 3: 1, 4: 2, 5: 3, 6: None}) == [1, 2, 4, 3, 5, 6]


def test_versions_are_counted_among_the_answers_to_one_message() -> None:
    found = {place.id: place for place in places({1: None, 2: 1, 3: 1, 4: None}, None)}
    assert (found[2].version, found[2].versions) == (1, (2, 3))
    assert found[3].version == 2
    assert found[4].versions == (1, 4)


def test_what_is_off_the_heads_branch_is_superseded() -> None:
    found = places({1: None, 2: 1, 3: 2, 4: 1, 5: 4}, head=5)
    assert [place.id for place in found if place.superseded] == [2, 3]
    assert not any(place.superseded for place in places({1: None, 2: 1}, head=None))


def test_a_parent_from_elsewhere_makes_a_root() -> None:
    (place,) = places({5: 99}, head=5)
    assert (place.parent, place.versions) == (None, (5,))


def test_a_branch_of_ten_thousand_messages_is_no_problem() -> None:
    chain: Parents = {n: n - 1 or None for n in range(1, 10_001)}
    assert order(chain, head=10_000) == list(range(1, 10_001))


@given(trees(), st.integers(0, 30))
def test_every_message_comes_once_and_after_its_parent(parents: Parents, head: int) -> None:
    ids = order(parents, head)
    assert sorted(ids) == sorted(parents)
    assert all(ids.index(p) < ids.index(m) for m, p in parents.items() if p)


@given(st.dictionaries(st.integers(1, 12), st.none() | st.integers(1, 12)), st.integers(1, 12))
def test_even_of_a_damaged_tree_every_message_comes_once(parents: Parents, head: int) -> None:
    assert sorted(order(parents, head)) == sorted(parents)
