"""What moderation would say of a text. Nothing of it is stored."""

import threading
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

from asgiref.sync import async_to_sync
from django.utils.translation import gettext as _

from chat import database, policy, services
from chat.asking import Bill, ask_billed, enter
from chat.engine.provider import Provider
from chat.engine.wellformed import well_formed
from chat.models import Action, Direction, ModerationRule, PolicyRule
from chat.moderation.base import ModerationUnavailable, Result, Span, Unclear
from chat.moderation.operator import Rule
from chat.moderation.policy import PolicyRule as Line
from chat.moderation.policy import gravest
from chat.policy import RULES, Current

# Who asks a remote backend keeps a thread that pages are made in until it answers.
_turns = threading.BoundedSemaphore(database.THREADS // 2)


@dataclass(frozen=True, slots=True)
class Said:
    """One backend's opinion, as it is shown: categories with scores, and those it objects to."""

    backend: str
    version: str = ""
    scores: tuple[tuple[str, float, bool], ...] = ()
    passages: tuple[tuple[str, str], ...] = ()
    action: str = ""
    action_label: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Tried:
    said: tuple[Said, ...]
    action: str
    action_label: str


def with_rule(rule: ModerationRule) -> Current:
    """What holds, as if this rule were saved and enabled."""
    others = ModerationRule.objects.filter(enabled=True).exclude(pk=rule.pk).order_by("pk")
    columns = ("name", "kind", "pattern", "category", "direction", "score")
    rules = tuple(Rule(*row) for row in others.values_list(*columns))
    mine = Rule(*(getattr(rule, column) for column in columns))
    now = policy.current()
    names = (*(name for name in now.backends if name != RULES), RULES)
    return replace(now, rules=(*rules, mine), backends=names)


def with_line(line: PolicyRule) -> Current:
    """What holds, as if this rule of the policy were saved."""
    columns = ("direction", "category", "action", "threshold")
    others = PolicyRule.objects.exclude(pk=line.pk).values_list(*columns)
    mine = Line(*(getattr(line, column) for column in columns))
    lines = (*(row for row in (Line(*row) for row in others) if _key(row) != _key(mine)), mine)
    now = policy.current()
    return replace(now, policy=replace(now.policy, rules=lines))


def try_out(text: str, direction: str, current: Current, user_id: int, *, remote: bool) -> Tried:
    """Ask the backends that ask nobody and, if told to, the ``remote`` ones at a user's expense."""
    found = _asked(text, direction, current, user_id, current.at_once)
    if remote and _turns.acquire(blocking=False):
        try:
            found += _asked(text, direction, current, user_id, current.remote)
        finally:
            _turns.release()
    elif remote:
        busy = _("Others are trying texts just now. Try again in a moment.")
        found += [Said(name, problem=busy) for name in current.remote]
    action = gravest([said.action for said in found if said.action])
    return Tried(tuple(found), action, str(Action(action).label))


def _asked(
    text: str, direction: str, current: Current, user_id: int, names: Iterable[str]
) -> list[Said]:
    bills: list[Bill] = []
    ask = partial(_ask, well_formed(text), direction, current, user_id, bills.append)
    try:
        said: list[Said] = async_to_sync(_ask_all)(ask, names)
    finally:
        enter(bills)  # here, and not from that loop: see chat.database
    return said


def _key(line: Line) -> tuple[str, str]:
    return line.direction, line.category


async def _ask_all(
    ask: Callable[[str, Provider], Awaitable[Said]], names: Iterable[str]
) -> list[Said]:
    provider = Provider(services.endpoint)
    try:
        return [await ask(name, provider) for name in names]
    finally:
        await provider.close()


async def _ask(
    text: str,
    direction: str,
    current: Current,
    user_id: int,
    bill: Callable[[Bill], object],
    name: str,
    provider: Provider,
) -> Said:
    try:
        to = Direction(direction)
        found = await ask_billed(name, text, to, current, provider, user_id, bill)
    except ModerationUnavailable as error:
        return Said(name, problem=str(error) or type(error).__name__)
    if isinstance(found, Unclear):
        return Said(name, found.version, problem=found.reason)
    action = current.policy.action(direction, found.categories, found.hits)
    return Said(
        name,
        found.version,
        _scores(found),
        tuple(segments(text, found.spans)) if found.spans else (),
        action,
        str(Action(action).label),
    )


def _scores(found: Result) -> tuple[tuple[str, float, bool], ...]:
    names = dict.fromkeys((*found.categories, *found.hits))
    rows = ((name, found.categories.get(name, 0.0), name in found.hits) for name in names)
    return tuple(sorted(rows, key=lambda row: (-row[1], row[0])))


def segments(text: str, spans: Iterable[Span]) -> list[tuple[str, str]]:
    """The text in pieces, each with the categories that mark it; empty for one that none marks."""
    marks = [span for span in spans if 0 <= span[0] < span[1] <= len(text)]
    cuts = sorted({0, len(text), *(at for start, end, _ in marks for at in (start, end))})
    found = []
    for start, end in pairwise(cuts):
        names = {name for first, last, name in marks if first <= start and end <= last}
        found.append((text[start:end], ", ".join(sorted(names))))
    return found
