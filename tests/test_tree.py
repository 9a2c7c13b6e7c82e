"""The shape of a conversation: what is on screen, what stands in for what."""

from hypothesis import given
from hypothesis import strategies as st

from chat.tree import Node, Tree


def alternating(parents: dict[int, int | None]) -> list[Node]:
    """Nodes whose roles take turns, as in a conversation without continuations."""
    roles: dict[int, str] = {}
    for message, parent in parents.items():
        asked = parent is not None and roles[parent] == "user"
        roles[message] = "assistant" if asked else "user"
    return [(message, parent, roles[message]) for message, parent in parents.items()]


def tree(parents: dict[int, int | None], head: int | None) -> Tree:
    return Tree(alternating(parents), head)


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    size = draw(st.integers(0, 30))
    parents = {
        n: draw(st.none() | st.integers(1, n - 1)) if n > 1 else None for n in range(1, size)
    }
    return tree(parents, draw(st.sampled_from([None, *parents])))


def test_the_branch_leads_from_the_root_to_the_head() -> None:
    shape = tree({1: None, 2: 1, 3: 2, 4: 1, 5: 4}, 5)
    assert shape.branch == [1, 4, 5]
    assert 4 in shape
    assert 2 not in shape
    assert tree({1: None}, None).branch == []


def test_versions_follow_the_same_message() -> None:
    shape = tree({1: None, 2: 1, 3: 1, 4: None, 5: 1}, 5)
    assert shape.versions(3) == [2, 3, 5]
    assert shape.versions(4) == [1, 4]
    assert tree({1: None, 2: 1}, 2).versions(2) == [2]


def test_the_newest_of_a_branch_is_the_last_that_was_written_in_it() -> None:
    shape = tree({1: None, 2: 1, 3: 2, 4: 1, 5: 4, 6: 3, 7: 2}, 5)
    assert shape.newest(2) == 7
    assert shape.newest(3) == 6
    assert shape.newest(4) == 5
    assert shape.newest(1) == 7


def test_a_reply_behind_a_reply_continues_it() -> None:
    shape = Tree([(1, None, "user"), (2, 1, "assistant"), (3, 2, "assistant"), (4, 3, "user")], 4)
    assert [message for message in (1, 2, 3, 4) if shape.continues(message)] == [3]


def test_other_branches_come_as_runs_in_the_order_of_their_ends() -> None:
    shape = tree({1: None, 2: 1, 3: 2, 4: 3, 5: 1, 6: 2, 7: None, 8: 7}, 8)
    assert shape.other_branches() == [[1, 2, 3, 4], [5], [6]]
    assert tree({1: None, 2: 1}, 2).other_branches() == []


@given(trees())
def test_every_message_is_on_screen_or_in_one_run(shape: Tree) -> None:
    runs = shape.other_branches()
    listed = [*shape.branch, *(message for run in runs for message in run)]
    assert len(listed) == len(set(listed))
    assert set(listed) == set(shape._parents)


@given(trees())
def test_nothing_follows_the_newest(shape: Tree) -> None:
    for message in shape._parents:
        assert not shape._children.get(shape.newest(message))


@given(trees())
def test_a_message_is_one_of_its_versions(shape: Tree) -> None:
    assert all(message in shape.versions(message) for message in shape._parents)
