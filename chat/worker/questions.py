"""What a reply is asked with, judged before any model reads it.

The backends that ask nobody take milliseconds, and what they say is written down while the provider
is already at work. All others are asked beside the reply, or before it where nothing may pass
unchecked (``MODERATION_FAIL=closed``).
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeVar

import structlog
from django.conf import settings
from django.db import DatabaseError, transaction

from chat import answers, instructions, passed_on, verdicts
from chat.database import in_database
from chat.engine.errors import ProviderError
from chat.engine.provider import Provider
from chat.models import Action, Direction, Generation, Message, ToolCall, Verdict, VerdictState
from chat.moderation.base import Result, Unclear, ask
from chat.moderation.registry import AT_ONCE
from chat.pending import moderate_pending
from chat.policy import Current
from chat.verdicts import BLOCKING, Found, Place

logger = structlog.get_logger()

CHECKED_AT_ONCE = 4  # messages that a remote backend is asked about at the same time
# What is flagged takes about ten statements a message: no writer waits for thousands of them.
WRITTEN_AT_ONCE = 20

T = TypeVar("T")


class Moderated(ProviderError):
    """No model is asked: what it would read must not be read."""

    kind = "moderated"


class Unchecked(ProviderError):
    """No model is asked, because nobody could say whether it may be."""

    kind = "unchecked"


class Misinstructed(Moderated):
    """The same of what the assistant tells it, whatever is asked."""

    kind = "misinstructed"


class Later(Protocol):
    """Runs something beside the reply."""

    def __call__(self, work: Coroutine[Any, Any, None]) -> object: ...


@dataclass(frozen=True, slots=True)
class Unjudged:
    """A message with verdicts that are pending: the names of those to be asked now."""

    message_id: int
    names: tuple[str, ...]
    text: str = field(repr=False)  # all that is judged: the message's own comes first
    length: int = 0  # of its own


@dataclass(frozen=True, slots=True)
class Questions:
    """The verdicts on all that a request would say to the model.

    ``blocked`` are the messages that no model may read. ``is_blocked``: without one of them the
    request makes no sense. ``unclear``: a backend had no verdict on one.
    """

    unjudged: tuple[Unjudged, ...] = ()
    blocked: frozenset[int] = frozenset()
    is_blocked: bool = False
    unclear: bool = False


def load(row: Generation, messages: Mapping[int, Message], question: Message | None) -> Questions:
    """As the rows say. ``question`` is what a page's reply answers. Synchronous."""
    blocked = {m.pk for m in messages.values() if m.withheld_at is not None}
    pending: defaultdict[int, list[str]] = defaultdict(list)
    unclear = set()
    is_title = row.message_id is None  # who answered the question has its verdicts asked for
    rows = Verdict.objects.filter(
        message__conversation=row.conversation_id, message__generation=None
    ).exclude(state__in=(VerdictState.PASSED, VerdictState.OVERRIDDEN))
    columns = ("message", "backend", "state", "action", "tries")
    for pk, backend, state, action, tries in rows.values_list(*columns):
        if state == VerdictState.FLAGGED:
            if action in BLOCKING:
                blocked.add(pk)
        elif state == VerdictState.ERROR:
            unclear.add(pk)
        elif _is_closed() or ((backend in AT_ONCE or not tries) and not is_title):
            pending[pk].append(backend)
    said = set(messages) if row.request is not None else _branch(question, messages)
    is_blocked = (
        bool(said & blocked)
        if row.request is not None
        else (question is not None and question.pk in blocked)
    )
    return Questions(
        unjudged=tuple(_unjudged(row, messages, pending, said)),
        blocked=frozenset(blocked),
        is_blocked=is_blocked,
        unclear=bool(unclear & said),
    )


async def check(questions: Questions, current: Current, provider: Provider, later: Later) -> None:
    """Judge what has not been judged.

    Raises:
        Moderated, Unchecked: no model may be asked.
    """
    if questions.is_blocked:
        raise Moderated
    found: dict[int, Found] = {}
    for one in questions.unjudged:
        found[one.message_id] = await _at_once(one, current, provider)
        await asyncio.sleep(0)  # a short text is judged on the loop, and there may be thousands
    write = partial(_write, questions.unjudged, found, current)
    if _is_closed():
        await write()
        await _ask_all(questions.unjudged, provider)
        await in_database(_insist, [one.message_id for one in questions.unjudged])
        if questions.unclear:
            raise Unchecked
    elif any(_blocks(results, current) for results in found.values()):
        await write()
        raise Moderated
    elif found:
        later(_beside(write, questions.unjudged, provider))


async def check_told(told: Iterable[str], current: Current, provider: Provider) -> None:
    """What an assistant tells the model, by what holds now.

    Raises:
        Misinstructed, Unchecked: no model may be asked.
    """
    found = [await instructions.is_refused(text, current, provider) for text in told]
    if True in found:
        raise Misinstructed
    if None in found and _is_closed():
        raise Unchecked


async def _at_once(one: Unjudged, current: Current, provider: Provider) -> Found:
    return {
        name: await ask(current.backend(name, Direction.INPUT, provider), one.text)
        for name in one.names
        if name in AT_ONCE
    }


async def _beside(write: Any, unjudged: Iterable[Unjudged], provider: Provider) -> None:
    """While the reply is written. What fails here is pending, and the sweeper's."""
    try:
        await write()
        for one in unjudged:
            if not AT_ONCE.issuperset(one.names):
                await moderate_pending(one.message_id, provider, at_once=True)
    except DatabaseError as error:
        logger.warning("verdicts_not_kept", error=type(error).__name__)
    except Exception:
        logger.exception("moderation_failed")


async def _ask_all(unjudged: Iterable[Unjudged], provider: Provider) -> None:
    turns = asyncio.Semaphore(CHECKED_AT_ONCE)

    async def ask_one(one: Unjudged) -> None:
        async with turns:
            await moderate_pending(
                one.message_id, provider, at_once=True, patient=True, stop_replies=False
            )

    async with asyncio.TaskGroup() as group:
        for one in unjudged:
            if not AT_ONCE.issuperset(one.names):
                group.create_task(ask_one(one))


async def _write(
    unjudged: Iterable[Unjudged], found: Mapping[int, Found], current: Current
) -> None:
    passed: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    results: dict[tuple[str, str], Result] = {}
    to_follow: list[tuple[Unjudged, Found]] = []
    for one in unjudged:
        left: dict[str, Result | Unclear] = {}
        for name, result in found[one.message_id].items():
            if isinstance(result, Unclear) or _action(result, current) != Action.ALLOW:
                left[name] = result
                continue
            alike = name, repr((result.categories, result.hits, result.model))
            results[alike] = result
            passed[alike].append(one.message_id)
        if left:
            to_follow.append((one, left))
    for alike, message_ids in passed.items():
        for some in _in_lots(message_ids, verdicts.BATCH):
            await in_database(verdicts.write_down_passed, some, alike[0], results[alike], current)
    for lot in _in_lots(to_follow, WRITTEN_AT_ONCE):
        await in_database(_write_lot, lot, current)


def _write_lot(lot: Iterable[tuple[Unjudged, Found]], current: Current) -> None:
    with transaction.atomic():
        for one, left in lot:
            # Its own text comes first in what was judged, and nothing before it.
            at = Place(0, one.length)
            verdicts.decide(one.message_id, left, current, at, stop_replies=False)


def _in_lots(items: Sequence[T], size: int) -> Iterable[Sequence[T]]:
    return (items[at : at + size] for at in range(0, len(items), size))


def _insist(message_ids: Collection[int]) -> None:
    """Go by the rows: what is not decided has not passed."""
    rows = Verdict.objects.filter(message__in=message_ids)
    states = set(rows.values_list("state", "action"))
    if any(state == VerdictState.FLAGGED and action in BLOCKING for state, action in states):
        raise Moderated
    if {state for state, _ in states} & {VerdictState.PENDING, VerdictState.ERROR}:
        raise Unchecked


def _blocks(found: Found, current: Current) -> bool:
    return any(
        isinstance(result, Result) and _action(result, current) in BLOCKING
        for result in found.values()
    )


def _action(result: Result, current: Current) -> str:
    return current.policy.action(Direction.INPUT, result.categories, result.hits)


def _unjudged(
    row: Generation,
    messages: Mapping[int, Message],
    pending: Mapping[int, list[str]],
    said: Collection[int],
) -> Iterable[Unjudged]:
    calls: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)
    unshown: dict[int, list[str]] = {}
    # Only histories of the API have calls of their own, and words that no page shows.
    if pending and row.conversation.api_key_id is not None:
        rows = ToolCall.objects.filter(message__in=pending)
        for message_id, name, arguments in rows.values_list("message", "name", "arguments"):
            calls[message_id].append((name, arguments))
        request = row.request or passed_on.request_of(row.conversation_id)
        unshown = passed_on.by_message(request, messages) if request else {}
    for pk, names in pending.items():
        if pk in said and pk in messages:
            text = answers.readable(messages[pk].text, None, calls[pk], unshown=unshown.get(pk, ()))
            yield Unjudged(pk, tuple(names), text, len(messages[pk].text))


def _branch(last: Message | None, messages: Mapping[int, Message]) -> set[int]:
    found = set()
    while last is not None:
        found.add(last.pk)
        last = messages.get(last.parent_id or 0)
    return found


def _is_closed() -> bool:
    return bool(settings.MODERATION_FAIL == "closed")
