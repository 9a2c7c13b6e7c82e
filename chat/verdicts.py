"""Verdicts as rows: awaited with the message, decided once, and what follows from them.

Synchronous, and within the caller's transaction where it says so. ``chat.reconcile`` asks the
backends, ``chat.remoderate`` asks again when the policy or the rules have changed.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from chat import doorbell, policy
from chat.models import (
    Action,
    Direction,
    Generation,
    Message,
    Receipt,
    ReviewItem,
    ReviewState,
    State,
    Verdict,
    VerdictState,
)
from chat.moderation.base import Result, Span, Unclear
from chat.moderation.policy import gravest
from chat.policy import Current
from chat.review import queue

MODERATION = "moderation"  # the reason of a reply that is ended because of a verdict
# A worker that is about to ask a model looks at the question first. What it has not decided by
# then is the sweeper's.
WORKERS_S = 30.0
NOT_CONFIGURED = "the backend is no longer configured"
TITLED_BY_CHARS = 1_000  # of a question, at most, a title is made of
HISTORY = 20  # earlier opinions kept with a verdict
BATCH = 500
BLOCKING = (Action.WITHHOLD, Action.STOP)

Found = Mapping[str, Result | Unclear]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message's text stands in what was judged: so many characters in, so many long."""

    before: int
    length: int

    def spans(self, spans: Iterable[Span]) -> list[list[Any]]:
        """Passages of the text itself; what lies in other messages or in calls is left out."""
        moved = ((start - self.before, end - self.before, name) for start, end, name in spans)
        return [
            [max(0, start), min(end, self.length), name]
            for start, end, name in moved
            if start < self.length and end > 0
        ]


@dataclass(frozen=True, slots=True)
class Weighed:
    """What the verdicts of one message come to."""

    overall: VerdictState
    action: str
    withheld: bool
    flagged: bool
    unclear: bool
    pending: bool
    score: float

    @property
    def blocks(self) -> bool:
        """May nobody, and no model, read it? For now, where an open verdict closes the door."""
        closed = settings.MODERATION_FAIL == "closed" and (self.pending or self.unclear)
        return self.action in BLOCKING or closed


def direction_of(message: Message) -> Direction:
    """What a model wrote here goes out. All else, histories of the API too, goes to a model."""
    return Direction.OUTPUT if hasattr(message, "generation") else Direction.INPUT


def expect(messages: Sequence[Message], names: Iterable[str] | None = None) -> None:
    """Pending verdicts on what is said to a model, in the transaction that says it."""
    at = timezone.now() + timedelta(seconds=WORKERS_S)
    named = policy.backends() if names is None else names
    Verdict.objects.bulk_create(
        [
            Verdict(message=message, backend=name, next_try_at=at)
            for message in messages
            for name in named
        ],
        batch_size=BATCH,
    )


def made(
    message_id: int, direction: str, names: Iterable[str], found: Found, current: Current, at: Place
) -> list[Verdict]:
    """The verdicts of a message that has none yet, unsaved: decided as far as there are results."""
    now = timezone.now()
    verdicts = [Verdict(message_id=message_id, backend=n, next_try_at=now) for n in names]
    for verdict in verdicts:
        if (result := found.get(verdict.backend)) is not None:
            _set(verdict, opinion(result, direction, current, at))
            verdict.tries = 1
    return verdicts


def opinion(found: Result | Unclear, direction: str, current: Current, at: Place) -> dict[str, Any]:
    """The columns of a verdict that says this."""
    given: dict[str, Any] = {
        "version": found.version[:100],
        "policy": current.version,
        "decided_at": timezone.now(),
        "next_try_at": None,
    }
    if isinstance(found, Unclear):
        return {**given, "state": VerdictState.ERROR, "action": Action.ALLOW, "error": found.reason}
    return {
        **given,
        **acted(direction, found.categories, found.hits, current),
        "model": found.model,
        "categories": found.categories,
        "hits": list(found.hits),
        "spans": at.spans(found.spans),
        "error": "",
    }


def acted(
    direction: str, categories: Mapping[str, float], hits: Sequence[str], current: Current
) -> dict[str, Any]:
    """What the policy makes of scores and objections."""
    action = current.policy.action(direction, categories, hits)
    state = VerdictState.PASSED if action == Action.ALLOW else VerdictState.FLAGGED
    return {"state": state, "action": action}


def weigh(verdicts: Iterable[Verdict]) -> Weighed:
    rows = list(verdicts)
    flagged = [row for row in rows if row.state == VerdictState.FLAGGED]
    states = {row.state for row in rows}
    return Weighed(
        overall=_overall(states),
        action=gravest([row.action for row in flagged]),
        withheld=any(row.action == Action.WITHHOLD for row in flagged),
        flagged=bool(flagged),
        unclear=VerdictState.ERROR in states,
        pending=VerdictState.PENDING in states,
        score=max((_score(row) for row in flagged or rows), default=0.0),
    )


def announce(message_id: int, weighed: Weighed, *, sampled: bool = False) -> None:
    """Let a message wait for a reviewer if there is a reason, within the caller's transaction."""
    if weighed.flagged or weighed.unclear or sampled:
        queue.put(
            message_id,
            flagged=weighed.flagged,
            unclear=weighed.unclear,
            sampled=sampled,
            score=weighed.score,
        )


def decide(
    message_id: int, found: Found, current: Current, at: Place, *, stop_replies: bool = True
) -> None:
    """Write down opinions on a message that were pending; those decided meanwhile stay as they are.

    ``stop_replies`` is False for the worker that has not begun the reply, and will not.
    """
    with transaction.atomic():
        message = _locked(message_id)
        if message is None:
            return  # purged
        direction = direction_of(message)
        won = set()
        for name, result in found.items():
            rows = message.verdicts.filter(backend=name, state=VerdictState.PENDING)
            for tries in rows.values_list("tries", flat=True):
                given = opinion(result, direction, current, at)
                if rows.update(**given, tries=tries + 1):
                    won.add(name)
        if won:
            _follow(message, won, stop_replies=stop_replies)


def write_down_passed(
    message_ids: Collection[int], backend: str, result: Result, current: Current
) -> None:
    """This opinion, which the policy lets pass, on inputs of which nothing is to be done then.

    One statement: each message goes this way, and a model is being waited for.
    """
    given = opinion(result, Direction.INPUT, current, Place(0, 0))
    rows = Verdict.objects.filter(message__in=message_ids, backend=backend)
    rows.filter(state=VerdictState.PENDING).update(**given, tries=F("tries") + 1)


def revise(message_id: int, revised: Mapping[int, dict[str, Any]]) -> None:
    """Replace opinions, by verdict; what they were is kept with them.

    A verdict that a person has overridden, and all of a message that one has decided on, stays.
    """
    with transaction.atomic():
        message = _locked(message_id)
        if message is None or _is_reviewed(message):
            return
        changed = set()
        kept = (VerdictState.OVERRIDDEN, VerdictState.PENDING)
        for verdict in message.verdicts.filter(pk__in=revised).exclude(state__in=kept):
            before = _said(verdict)
            _set(verdict, revised[verdict.pk])
            after = _said(verdict)
            if any(before[name] != after[name] for name in ("state", "action")):
                changed.add(verdict.backend)
            verdict.history = [*verdict.history, before][-HISTORY:]
            verdict.save()
        if changed:
            _follow(message, changed, stop_replies=False)


def give_up(message_id: int, configured: Collection[str], since: timedelta) -> None:
    """Wait no longer for backends that nobody has configured any more.

    Where there is another verdict it stands alone; else a person has to look. ``since``: how long
    they have been pending at least, because two configurations may run side by side for a while.
    """
    with transaction.atomic():
        message = _locked(message_id)
        if message is None:
            return
        rows = unasked(configured, since).filter(message=message_id)
        names = set(rows.values_list("backend", flat=True))
        if message.verdicts.exclude(backend__in=names).exists():
            rows.delete()
        else:
            given = {"next_try_at": None, "decided_at": timezone.now(), "error": NOT_CONFIGURED}
            rows.update(state=VerdictState.ERROR, **given)
        _follow(message, names, stop_replies=False)


def unasked(configured: Collection[str], since: timedelta) -> QuerySet[Verdict]:
    """Pending verdicts that no backend will be asked for."""
    rows = Verdict.objects.filter(state=VerdictState.PENDING, created_at__lt=timezone.now() - since)
    return rows.exclude(backend__in=configured)


def lifted(message: Message) -> dict[str, Any]:
    """What changes of a message that was withheld until it was judged, and has passed."""
    return _withheld(message, blocks=False, anew=False)


def is_blocked(message: Message) -> bool:
    """May no model read this? By the verdicts as they are."""
    if message.withheld_at is not None:
        return True
    flagged = message.verdicts.filter(state=VerdictState.FLAGGED, action__in=BLOCKING)
    return flagged.exists()


def _locked(message_id: int) -> Message | None:
    """The message, with its row locked where transactions do not take turns anyway.

    So two opinions on one message see each other. Its conversation is locked before it, as
    everywhere, by whoever is going to change what pages show.
    """
    rows = Message.objects.select_related("conversation", "generation").filter(pk=message_id)
    found = rows.first()
    if found is not None and transaction.get_connection().features.has_select_for_update:
        type(found.conversation).objects.select_for_update(no_key=True).get(
            pk=found.conversation_id
        )
        found = rows.first()
    return found


def _follow(message: Message, backends: Collection[str], *, stop_replies: bool) -> None:
    """What the verdicts of a message come to, for its reader, its receipt and the reviewers.

    ``backends`` have just said something new. What they flag nobody has decided on yet, also where
    a reviewer has decided on the message before.
    """
    rows = list(message.verdicts.all())
    weighed, news = weigh(rows), weigh(row for row in rows if row.backend in backends)
    shown: dict[str, Any] = {}
    if direction_of(message) == Direction.OUTPUT:
        Receipt.objects.filter(generation__message=message).update(verdict=weighed.overall)
        shown = _withheld(message, blocks=weighed.blocks, anew=news.action in BLOCKING)
        visible = True
    else:
        shown = _withheld(message, blocks=weighed.withheld, anew=news.withheld)
        visible = bool(shown)
        if weighed.action in BLOCKING:
            _untitle(message)
            if stop_replies:
                _stop_reply(message)
    announce(message.pk, news)
    if visible:
        revision = message.conversation.bump()
        Message.objects.filter(pk=message.pk).update(revision=revision, **shown)
        transaction.on_commit(
            partial(doorbell.ring_conversation, message.conversation_id), robust=True
        )


def _withheld(message: Message, *, blocks: bool, anew: bool) -> dict[str, Any]:
    """What changes of a message's being withheld. What a person has decided on does not.

    Except when a verdict blocks it ``anew``, which that person could not know of.
    """
    if blocks == (message.withheld_at is not None):
        return {}
    if blocks:
        return {"withheld_at": timezone.now()} if anew or not _is_decided(message) else {}
    if _is_reviewed(message):
        return {}
    question = _question(message)
    if question is not None and is_blocked(question):
        return {}  # it was ended because of what was asked
    return {"withheld_at": None}


def _question(message: Message) -> Message | None:
    current = message.parent
    while current is not None and hasattr(current, "generation"):
        current = current.parent
    return current


def _is_decided(message: Message) -> bool:
    """Has a reviewer decided on it, or proposed to? Who escalates has not: it waits for others."""
    waits = (ReviewState.OPEN, ReviewState.ESCALATED)
    items = ReviewItem.objects.filter(message=message)
    return items.exclude(state__in=waits, outcome="").exists()


def _is_reviewed(message: Message) -> bool:
    """Has a reviewer done anything about it, if only escalated it? Then no policy restores it."""
    items = ReviewItem.objects.filter(message=message)
    return items.exclude(state=ReviewState.OPEN, outcome="").exists()


def _untitle(message: Message) -> None:
    """Take the title off a conversation that has it from this question; what a user gave stays.

    One of a program's is always its first words, and only looks as if a user had given it.
    """
    conversation = message.conversation
    words = " ".join(message.text[:TITLED_BY_CHARS].split())
    copied = words.startswith(conversation.title.removesuffix("…").rstrip())
    of_program = conversation.api_key_id is not None and copied
    of_ours = message.parent_id is None and not conversation.titled_by_user
    if conversation.title and (of_program or of_ours):
        type(conversation).objects.filter(pk=conversation.pk).update(title="")
        ring = partial(doorbell.ring_user, conversation.owner_id)
        transaction.on_commit(ring, robust=True)


def _stop_reply(message: Message) -> None:
    """End the reply that is being written behind a message that no model may read."""
    running = Generation.objects.filter(
        conversation=message.conversation_id, purpose="reply", state=State.STREAMING
    )
    for generation in running:
        if message.pk in _ancestors(message, generation.message_id):
            rows = Generation.objects.filter(pk=generation.pk, stop_requested="")
            rows.filter(state=State.STREAMING).update(stop_requested=MODERATION)
            transaction.on_commit(doorbell.ring_workers, robust=True)


def _ancestors(message: Message, of: int | None) -> set[int]:
    rows = Message.objects.filter(conversation=message.conversation_id)
    parents: dict[int, int | None] = dict(rows.values_list("pk", "parent_id"))
    found: set[int] = set()
    while (of := parents.get(of or 0)) is not None:
        found.add(of)
    return found


def _set(verdict: Verdict, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        setattr(verdict, name, value)


def _said(verdict: Verdict) -> dict[str, Any]:
    return {
        "state": str(verdict.state),
        "action": str(verdict.action),
        "categories": verdict.categories,
        "version": verdict.version,
        "policy": verdict.policy,
        "decided_at": verdict.decided_at.isoformat() if verdict.decided_at else None,
    }


def _score(verdict: Verdict) -> float:
    scores = [verdict.categories.get(name, 0.0) for name in verdict.hits]
    return max(scores or verdict.categories.values(), default=0.0)


def _overall(states: Iterable[str]) -> VerdictState:
    """One word for the verdicts of a message: the gravest. No text, nothing to object to."""
    found = set(states)
    for state in (
        VerdictState.FLAGGED,
        VerdictState.ERROR,
        VerdictState.PENDING,
        VerdictState.OVERRIDDEN,
    ):
        if state in found:
            return state
    return VerdictState.PASSED
