"""Opinions written down: given, given anew, or given up. Each in a transaction of its own."""

from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from chat.models import Direction, Message, Verdict, VerdictState
from chat.moderation.base import Result
from chat.policy import Current
from chat.verdicts.effects import follow, is_reviewed
from chat.verdicts.rows import Found, Place, direction_of, fill, opinion

NOT_CONFIGURED = "the backend is no longer configured"
HISTORY = 20  # earlier opinions kept with a verdict


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
            follow(message, won, stop_replies=stop_replies)


def write_down_passed(
    message_ids: Collection[int], backend: str, result: Result, current: Current
) -> None:
    """This opinion, which the policy lets pass, on inputs of which nothing is to be done then.

    One statement: each message goes this way, and a model is being waited for.
    """
    given = opinion(result, Direction.INPUT, current, Place(0, 0))
    rows = Verdict.objects.filter(message__in=message_ids, backend=backend)
    rows.filter(state=VerdictState.PENDING).update(**given, tries=F("tries") + 1)


def revise(message_id: int, revised: Iterable[tuple[Verdict, dict[str, Any]]]) -> None:
    """Replace opinions, of verdicts as they were read; what they were is kept with them.

    A verdict that a person has overridden, and all of a message that one has decided on, stays. So
    does one that says something else than what was read: another process was first.
    """
    with transaction.atomic():
        message = _locked(message_id)
        if message is None or is_reviewed(message):
            return
        changed = set()
        kept = (VerdictState.OVERRIDDEN, VerdictState.PENDING)
        rows = message.verdicts.exclude(state__in=kept).in_bulk()
        for read, values in revised:
            verdict = rows.get(read.pk)
            if verdict is None or (before := _said(verdict)) != _said(read):
                continue
            fill(verdict, values)
            after = _said(verdict)
            if any(before[name] != after[name] for name in ("state", "action")):
                changed.add(verdict.backend)
            verdict.history = [*verdict.history, before][-HISTORY:]
            verdict.save()
        if changed:
            follow(message, changed, stop_replies=False)


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
        follow(message, names, stop_replies=False)


def unasked(configured: Collection[str], since: timedelta) -> QuerySet[Verdict]:
    """Pending verdicts that no backend will be asked for."""
    rows = Verdict.objects.filter(state=VerdictState.PENDING, created_at__lt=timezone.now() - since)
    return rows.exclude(backend__in=configured)


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


def _said(verdict: Verdict) -> dict[str, Any]:
    return {
        "state": str(verdict.state),
        "action": str(verdict.action),
        "categories": verdict.categories,
        "version": verdict.version,
        "policy": verdict.policy,
        "decided_at": verdict.decided_at.isoformat() if verdict.decided_at else None,
    }
