"""A conversation as reviewers read it: every message of every branch, with its record.

The administration shows the same, less what only concerns review.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from chat.models import (
    Conversation,
    Generation,
    Message,
    Purpose,
    ReviewState,
    Role,
    State,
    Timeline,
    Verdict,
    VerdictState,
)
from chat.models.conversation import WITH
from chat.passed_on import by_message, request_of
from chat.record import seals
from chat.review import badges
from chat.review.badges import Badge, badge_of
from chat.review.entry import Entry, entry_of
from chat.review.facts import (
    Fact,
    generation_facts,
)
from chat.review.tree import Place, places
from chat.review.units import moment

PER_PAGE = 100  # messages; rendering a long reply takes some 10 ms
BESIDE = (
    "verdicts",
    "redactions",
    "tool_calls",
    "reports__user",
    "feedback",
    "review__decisions__reviewer",
)
WAITING = (ReviewState.OPEN, ReviewState.ESCALATED, ReviewState.PROPOSED)
NOTABLE = 30  # links to what a reader may want to see first


UNPROVEN = (badges.DIFFERS, badges.UNSEALED)


@dataclass(slots=True)
class Transcript:
    conversation: Conversation
    facts: list[Fact]
    entries: list[Entry]
    page: Page[Place]
    notable: list[tuple[int, list[Badge]]]
    notable_more: int
    titles: list[tuple[Generation, Badge, list[Fact]]]
    gone: int  # replies that were sealed and are not there


def transcript(
    conversation: Conversation, wanted: Mapping[str, str], *, owner_name: str = ""
) -> Transcript:
    """The page of the transcript that ``page`` or ``at`` (a message's id) asks for.

    ``owner_name`` stands for the owner's own where that is hidden.
    """
    name = owner_name or conversation.owner.get_username()
    rows = {row["pk"]: row for row in _outline(conversation)}
    order = places({pk: row["parent"] for pk, row in rows.items()}, conversation.head_id)
    paginator = Paginator(order, PER_PAGE)
    page = paginator.get_page(_page_of(order, wanted))
    messages = (
        Message.objects.select_related(*WITH)
        .select_related("review__assignee")
        .prefetch_related(*BESIDE)
        .in_bulk([place.id for place in page])
    )
    entries = [entry_of(messages[place.id], place, name) for place in page if place.id in messages]
    replayed = set(
        Timeline.objects.filter(generation__message__in=messages)
        .exclude(points=[])
        .values_list("generation__message", flat=True)
    )
    # Only what came through the API has a request that says more.
    request = request_of(conversation.pk) if conversation.api_key_id else None
    beside = by_message(request, rows) if request else {}
    for entry in entries:
        entry.beside = "\n".join(filter(str.strip, beside.get(entry.message.pk, ())))
        entry.has_timeline = entry.message.pk in replayed
        cut = entry.place.parent
        if cut and entry.message.role == rows[cut]["role"] == Role.ASSISTANT:
            entry.marks.append(badges.continues(cut))
    sealed = seals.latest(conversation.pk)
    made = [entry.generation.pk for entry in entries if entry.generation is not None]
    now = seals.contents(conversation.pk, made)
    for entry in entries:
        key = entry.generation.pk if entry.generation is not None else None
        if key in now and (key in sealed or entry.proof) and sealed.get(key) != now[key]:
            entry.marks.append(badges.UNSEALED)
    wrong = {
        entry.message.pk: [mark for mark in (entry.proof, *entry.marks) if mark in UNPROVEN]
        for entry in entries
    }
    notable = [
        (place.id, marks)
        for place in order
        if (marks := _notable(rows[place.id], wrong.get(place.id, [])))
    ]
    return Transcript(
        conversation=conversation,
        facts=_facts(conversation, len(order)),
        entries=entries,
        page=page,
        notable=notable[:NOTABLE],
        notable_more=max(0, len(notable) - NOTABLE),
        titles=[
            (generation, badge_of(generation.state), generation_facts(generation))
            for generation in conversation.generations.filter(purpose=Purpose.TITLE).order_by("pk")
        ],
        gone=len(sealed.keys() - {row["generation"] for row in rows.values()}),
    )


def _outline(conversation: Conversation) -> list[Any]:
    """Of every message what the order and the list of notable ones need, and no text."""
    flagged = Verdict.objects.filter(message=OuterRef("pk"), state=VerdictState.FLAGGED)
    return list(
        conversation.messages.order_by("pk").values(
            "pk",
            "parent",
            "role",
            "withheld_at",
            "generation",
            "generation__state",
            "generation__receipt__verdict",
            "review__state",
            "review__outcome",
            is_flagged=Exists(flagged),
        )
    )


def _page_of(order: list[Place], wanted: Mapping[str, str]) -> str | int:
    at = wanted.get("at", "")
    for index, place in enumerate(order):
        if str(place.id) == at:
            return index // PER_PAGE + 1
    return wanted.get("page", 1)


def _notable(row: Any, wrong: list[Badge]) -> list[Badge]:
    # Texts are hashed for the page on show only; all others of a long conversation are not read.
    found = list(wrong)
    if row["review__state"] in WAITING:
        found.append(badges.WAITS)
    if row["is_flagged"] or row["generation__receipt__verdict"] == VerdictState.FLAGGED:
        found.append(badges.FLAGGED)
    if row["withheld_at"]:
        found.append(badges.hidden(row["review__outcome"]))
    if row["generation__state"] == State.FAILED:
        found.append(badges.FAILED)
    return found


def _facts(conversation: Conversation, messages: int) -> list[Fact]:
    given = {
        _("Model"): conversation.model,
        _("Temperature"): conversation.temperature,
        _("Top p"): conversation.top_p,
        _("Max tokens"): conversation.max_tokens,
        _("Messages"): messages,
        _("Created"): moment(conversation.created_at),
        _("Last active"): moment(conversation.active_at),
        _("Deleted"): moment(conversation.deleted_at),
    }
    return [Fact(term, str(value)) for term, value in given.items() if value not in (None, "")]
