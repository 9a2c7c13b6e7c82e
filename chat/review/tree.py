"""The order in which a conversation's tree of messages is read. Pure: ids in, places out."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message stands.

    ``versions`` are the ids of all answers to the same message, its own among them, oldest first.
    ``superseded``: another version's branch is the one on screen.
    """

    id: int
    parent: int | None
    versions: tuple[int, ...]
    superseded: bool

    @property
    def version(self) -> int:
        return self.versions.index(self.id) + 1


def places(parents: Mapping[int, int | None], head: int | None) -> list[Place]:
    """Every message once: each branch read to its end before the next version begins.

    ``parents`` maps each message to the one that it follows, oldest first. A parent from
    elsewhere counts as none. Without a head nothing is on screen, and nothing is superseded.
    """
    children: dict[int | None, list[int]] = {}
    for message, parent in parents.items():
        children.setdefault(parent if parent in parents else None, []).append(message)
    shown = _branch(parents, head)
    found: dict[int, Place] = {}
    # The roots, then (a damaged tree only) whatever no root leads to: a record hides nothing.
    for start in [*children.get(None, []), *parents]:
        waiting = [start]
        while waiting:
            message = waiting.pop()
            if message in found:
                continue
            parent = parents[message] if parents[message] in parents else None
            found[message] = Place(
                message, parent, tuple(children[parent]), bool(shown) and message not in shown
            )
            waiting.extend(reversed(children.get(message, [])))
    return list(found.values())


def _branch(parents: Mapping[int, int | None], head: int | None) -> set[int]:
    branch: set[int] = set()
    while head is not None and head in parents and head not in branch:
        branch.add(head)
        head = parents[head]
    return branch
