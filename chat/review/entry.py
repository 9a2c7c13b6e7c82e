"""One message as reviewers read it, with its record."""

from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from chat.delivery.body import stored_html
from chat.delivery.live import thought_text
from chat.delivery.page import calls_of
from chat.models import (
    ErrorKind,
    Generation,
    Message,
    ReviewDecision,
    ReviewItem,
    Role,
    State,
    VerdictState,
)
from chat.review import badges
from chat.review.badges import Badge, badge_of
from chat.review.decisions import in_words
from chat.review.facts import (
    Fact,
    generation_facts,
    headline,
    proof,
    receipt_facts,
)
from chat.review.passages import MARKS_MAX, Mark, marks, merged, source
from chat.review.scores import scores
from chat.review.tree import Place

PROPOSED_CHARS = 300
PASSAGE_CHARS = 120


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
    passages: list[tuple[Mark, str]] = field(default_factory=list)  # with the words themselves
    marked: int = 0
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
        return self.marked >= MARKS_MAX

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
    def history(self) -> list[tuple[ReviewDecision, str]]:
        return [(decision, in_words(decision)) for decision in self.decisions]

    @property
    def error(self) -> str:
        return ErrorKind.words(self.generation.error_kind) if self.generation else ""

    @property
    def is_refused(self) -> bool:
        """Was no model asked, because of what it would have read?"""
        refused = self.generation is not None and self.generation.error_kind == "moderated"
        return refused and not self.message.text

    @property
    def last_decision(self) -> ReviewDecision | None:
        return self.decisions[-1] if self.decisions else None


def entry_of(message: Message, place: Place, owner_name: str) -> Entry:
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
    marked = marks(message.verdicts.all(), len(message.text))
    entry.marked = len(marked)
    entry.passages = [(mark, _words(message.text, mark)) for mark in merged(marked)]
    entry.source = source(message.text, marked, message.redactions.all())
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


def _words(text: str, mark: Mark) -> str:
    piece = text[mark.start : mark.end]
    return piece if len(piece) <= PASSAGE_CHARS else f"{piece[:PASSAGE_CHARS]}…"


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
        if not entry.is_refused:  # nothing was judged
            entry.marks.append(badges.moderation_badge(receipt))
        entry.marks.append(entry.proof)
        entry.alarming = receipt.verdict == VerdictState.FLAGGED or entry.proof is badges.DIFFERS
    elif not generation.is_active:
        entry.marks.append(badges.UNRECONCILED)
    entry.alarming = entry.alarming or generation.state == State.FAILED
