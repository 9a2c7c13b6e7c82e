"""A conversation as reviewers read it: every message of every branch, with its record.

The administration shows the same, less what only concerns review.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.core.paginator import Page, Paginator
from django.db.models import Exists, OuterRef
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from chat.delivery.body import stored_html
from chat.delivery.live import thought_text
from chat.delivery.page import calls_of
from chat.models import (
    Conversation,
    Generation,
    Message,
    Purpose,
    ReviewDecision,
    ReviewItem,
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
from chat.review.facts import (
    Fact,
    generation_facts,
    headline,
    proof,
    receipt_facts,
)
from chat.review.passages import MARKS_MAX, Mark, marks, source
from chat.review.scores import scores
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
PROPOSED_CHARS = 300
NOTABLE = 30  # links to what a reader may want to see first


@dataclass(slots=True)
class Entry:
    """One message on the page."""

    message: Message
    place: Place
    speaker: str
    kind: str
    marks: list[Badge]
    generation: Generation | None = None
    html: SafeString | None = None
    thought: str = ""
    headline: list[Fact] = field(default_factory=list)
    generation_facts: list[Fact] = field(default_factory=list)
    receipt_facts: list[Fact] = field(default_factory=list)
    proof: Badge | None = None
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    alarming: bool = False
    source: SafeString | str = ""  # the text with marked passages and tombstones
    passages: list[Mark] = field(default_factory=list)
    beside: str = ""  # what a program told the model with it: it was judged, too
    item: ReviewItem | None = None
    reasons: list[Badge] = field(default_factory=list)
    decisions: list[ReviewDecision] = field(default_factory=list)
    has_timeline: bool = False

    @property
    def is_settled(self) -> bool:
        """Has it ended, so that it can be decided on?"""
        return self.generation is None or bool(self.generation.reconciled_at)

    @property
    def has_more_marks(self) -> bool:
        return len(self.passages) >= MARKS_MAX

    @property
    def proposed(self) -> list[str]:
        """What a redaction that waits would take out: passages, with where they are, and words."""
        last = self.last_decision
        return [
            each if isinstance(each, str) else f"{self._cut(*each)} ({each[0]}-{each[1]})"
            for each in (last.passages if last is not None else [])
        ]

    def _cut(self, start: int, end: int) -> str:
        piece = self.message.text[start:end]
        return piece if len(piece) <= PROPOSED_CHARS else f"{piece[:PROPOSED_CHARS]}…"

    @property
    def last_decision(self) -> ReviewDecision | None:
        return self.decisions[-1] if self.decisions else None


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
    entries = [_entry(messages[place.id], place, name) for place in page if place.id in messages]
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
        found.append(badges.WITHHELD)
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


def _entry(message: Message, place: Place, owner_name: str) -> Entry:
    generation = getattr(message, "generation", None)
    speaker, kind = {
        Role.USER: (owner_name, _("User")),
        Role.SYSTEM: (_("Instructions"), _("System")),
        Role.TOOL: (_("Tool"), _("Tool")),
    }.get(Role(message.role), (settings.ASSISTANT_NAME, _("Assistant")))
    entry = Entry(
        message, place, speaker, kind, badges.marks(message, generation), generation=generation
    )
    entry.verdicts = [
        {"verdict": verdict, "badge": badge_of(verdict.state), "scores": scores(verdict)}
        for verdict in sorted(message.verdicts.all(), key=lambda verdict: verdict.backend)
    ]
    entry.passages = marks(message.verdicts.all(), len(message.text))
    entry.source = source(message.text, entry.passages, message.redactions.all())
    entry.item = getattr(message, "review", None)
    if entry.item is not None:
        entry.decisions = list(entry.item.decisions.all())
        entry.reasons = badges.reasons(entry.item)
    if message.role == Role.ASSISTANT:
        # As on the page: a reply is rendered, what a person or a tool said is shown as it is.
        entry.html = mark_safe(_body(message, generation))  # noqa: S308
    if generation is None and any(v.state == VerdictState.FLAGGED for v in message.verdicts.all()):
        entry.marks.append(badges.FLAGGED)  # a reply's receipt says it of a reply
        entry.alarming = True
    if place.superseded:
        entry.marks.append(badges.SUPERSEDED)
    if generation is not None:
        _describe(entry, generation)
    return entry


def _body(message: Message, generation: Generation | None) -> str:
    if generation is None:
        return escape(message.text)  # said elsewhere, before it came through the API
    return stored_html(message.pk, message.text, calls_of(message), generation.schema)


def _describe(entry: Entry, generation: Generation) -> None:
    message = entry.message
    entry.headline = headline(generation)
    entry.generation_facts = generation_facts(generation)
    if message.reasoning:
        entry.thought = thought_text(generation.thinking_ms)
    receipt = getattr(generation, "receipt", None)
    if receipt is not None:
        entry.receipt_facts = receipt_facts(receipt)
        entry.proof = proof(receipt, message)
        entry.marks += [badges.moderation_badge(receipt), entry.proof]
        entry.alarming = receipt.verdict == VerdictState.FLAGGED or entry.proof is badges.DIFFERS
    elif not generation.is_active:
        entry.marks.append(badges.UNRECONCILED)
    entry.alarming = entry.alarming or generation.state == State.FAILED
