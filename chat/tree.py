"""A conversation's tree of messages: which are on screen, which stand in for each other. Pure."""

from collections.abc import Iterable

Node = tuple[int, int | None, str]  # a message's id, that of the one it follows, its role


class Tree:
    """The shape of a conversation, without its texts.

    Messages come oldest first, so that each stands behind the one that it follows. Those that
    follow the same message are *versions* of each other. ``head`` ends the branch on screen.
    """

    def __init__(self, nodes: Iterable[Node], head: int | None) -> None:
        self.head = head
        self._parents: dict[int, int | None] = {}
        self._roles: dict[int, str] = {}
        self._children: dict[int | None, list[int]] = {}
        for message, parent, role in nodes:
            self._parents[message] = parent
            self._roles[message] = role
            self._children.setdefault(parent, []).append(message)
        self.branch = self._up_to(head, set())
        self._on_screen = set(self.branch)

    def __contains__(self, message: int) -> bool:
        """Is it on screen?"""
        return message in self._on_screen

    def versions(self, message: int) -> list[int]:
        """The message and all that stand beside it, oldest first."""
        return self._children.get(self._parents.get(message), [message])

    def continues(self, message: int) -> bool:
        """Does this reply go on where another one was cut?"""
        parent = self._parents.get(message)
        follows = self._roles.get(parent) if parent is not None else None
        return follows == self._roles.get(message) == "assistant"

    def newest(self, message: int) -> int:
        """The newest of the message and all that follow it: nothing follows that one."""
        found = {message}
        for other, parent in self._parents.items():
            if parent in found:
                found.add(other)
        return max(found)

    def other_branches(self) -> list[list[int]]:
        """What is not on screen, as runs of messages that follow each other, each message once."""
        listed = set(self.branch)
        runs = []
        for message in self._parents:
            if message not in self._children and message not in listed:
                run = self._up_to(message, listed)
                listed.update(run)
                runs.append(run)
        return runs

    def _up_to(self, last: int | None, known: set[int]) -> list[int]:
        """The messages that lead to ``last``, from the root or from the last one known."""
        path: list[int] = []
        while last is not None and last in self._parents and last not in known:
            path.append(last)
            last = self._parents[last]
        return path[::-1]
