"""The lists that reviewers work through: messages, by what became of them."""

from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, F, Q, QuerySet
from django.db.models.functions import Substr
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from chat.models import Conversation, Message, ReviewItem, ReviewState, Role, ToolCall, User
from chat.review import badges
from chat.review.badges import Badge, badge_of
from chat.review.decisions import in_words
from chat.review.filters import condition
from chat.review.pseudonyms import name_of
from chat.review.scores import scores
from chat.review.titles import public_titles
from chat.search.excerpt import excerpt, has
from chat.search.terms import Term, parse

PER_PAGE = 30
PAGE_MAX = 2_000
CATEGORIES = 3
EXCERPTED_CHARS = 200_000  # of a text that is looked through for the passage to show
HEAVY = (
    "text",
    "reasoning",
    "generation__request",
    "generation__error_detail",
    "generation__parameters",
)

TABS: dict[str, tuple[str | Promise, Q]] = {
    "open": (gettext_lazy("To decide"), Q(review__state=ReviewState.OPEN)),
    "mine": (gettext_lazy("Assigned to me"), Q()),
    "escalated": (gettext_lazy("Escalated"), Q(review__state=ReviewState.ESCALATED)),
    "proposed": (
        gettext_lazy("Waiting for a second reviewer"),
        Q(review__state=ReviewState.PROPOSED),
    ),
    "decided": (gettext_lazy("Decided"), Q(review__state=ReviewState.CLOSED)),
    "all": (gettext_lazy("All messages"), Q()),
}
# Of a list's name and the order that is asked for: by what, and is the greatest first?
_OF_ITEMS = {"newest": ("review__opened_at", True), "oldest": ("review__opened_at", False),
             "score": ("review__score", True)}  # fmt: skip
_OF_DECIDED = _OF_ITEMS | {
    "newest": ("review__closed_at", True),
    "oldest": ("review__closed_at", False),
}
# Not each has an item here, and the databases do not agree where what is missing comes.
_OF_ALL = _OF_ITEMS | {"newest": ("pk", True), "oldest": ("pk", False)}

Said = tuple[str, str | Promise]


@dataclass(slots=True)
class Row:
    message: Message
    who: str
    kind: str
    title: str
    model: str
    marks: list[Badge]
    categories: list[tuple[str, float]] = field(default_factory=list)
    item: ReviewItem | None = None
    outcome: str = ""
    excerpt: SafeString | str = ""
    found_in: str | Promise = ""  # where that is not the text itself


@dataclass(slots=True)
class Listing:
    rows: list[Row]
    number: int
    has_next: bool


def counts(reviewer: User) -> dict[str, int]:
    """Of each tab but "all", in one query."""
    states = {"open": ReviewState.OPEN, "escalated": ReviewState.ESCALATED,
              "proposed": ReviewState.PROPOSED, "decided": ReviewState.CLOSED}  # fmt: skip
    counted = {name: Count("pk", filter=Q(state=state)) for name, state in states.items()}
    mine = Count("pk", filter=Q(assignee=reviewer) & ~Q(state=ReviewState.CLOSED))
    return ReviewItem.objects.aggregate(mine=mine, **counted)


def to_decide() -> int:
    return ReviewItem.objects.filter(state=ReviewState.OPEN).count()


def listing(
    reviewer: User, tab: str, wanted: dict[str, Any], number: int, *, hidden: bool
) -> Listing:
    """One page; the number of queries does not depend on how many rows there are."""
    number = min(max(number, 1), PAGE_MAX)
    rows = _messages(reviewer, tab).filter(condition(wanted, hidden=hidden))
    by, falls = _order(tab, wanted)
    rows = rows.order_by(
        *(F(name).desc(nulls_last=True) if falls else F(name).asc() for name in (by, "pk"))
    )
    start = (number - 1) * PER_PAGE
    page = list(rows[start : start + PER_PAGE + 1])
    shown = page[:PER_PAGE]
    terms = parse(wanted.get("q", ""))
    texts = _texts(shown) if terms else {}
    titles = public_titles(message.conversation for message in shown)
    found = [
        _row(message, hidden, titles[message.conversation_id], texts.get(message.pk), terms)
        for message in shown
    ]
    return Listing(found, number, has_next=len(page) > PER_PAGE)


def next_to_decide(
    reviewer: User, tab: str, wanted: dict[str, Any], after: Message | None, *, hidden: bool
) -> Message | None:
    """What follows a message in a list, of what this reviewer can decide; at its end, the first.

    A list of what is decided, or of everything, leads on to what is open.
    """
    tab = tab if tab in ("mine", "escalated", "proposed") else "open"
    rows = _messages(reviewer, tab).filter(condition(wanted, hidden=hidden))
    free = Q(review__assignee=None) | Q(review__assignee=reviewer)
    rows = rows.filter(free).exclude(conversation__owner=reviewer)
    by, falls = _order(tab, wanted)
    rows = rows.order_by(*(f"-{name}" if falls else name for name in (by, "pk")))
    item = getattr(after, "review", None)
    if after is None or item is None:
        return rows.first()
    beyond, here = ("lt" if falls else "gt"), getattr(item, by.removeprefix("review__"))
    later = Q(**{f"{by}__{beyond}": here}) | Q(**{by: here, f"pk__{beyond}": after.pk})
    return rows.filter(later).first() or rows.exclude(pk=after.pk).first()


def _order(tab: str, wanted: dict[str, Any]) -> tuple[str, bool]:
    orders = {"all": _OF_ALL, "decided": _OF_DECIDED}.get(tab, _OF_ITEMS)
    return orders.get(wanted.get("order", ""), orders["newest"])


def _messages(reviewer: User, tab: str) -> QuerySet[Message]:
    rows = Message.objects.filter(TABS[tab][1])
    if tab == "mine":
        rows = rows.filter(review__assignee=reviewer).exclude(review__state=ReviewState.CLOSED)
    return (
        rows.select_related("conversation__owner", "generation__receipt", "review__assignee")
        .prefetch_related("verdicts", "feedback", "review__decisions")
        .defer(*HEAVY)
    )


def _texts(shown: list[Message]) -> dict[int, list[Said]]:
    """What of each message is searched, and where it stands."""
    ids = [message.pk for message in shown]

    def begins(*names: str) -> list[Substr]:
        return [Substr(name, 1, EXCERPTED_CHARS) for name in names]

    rows = Message.objects.filter(pk__in=ids).values_list("pk", *begins("text", "reasoning"))
    found: dict[int, list[Said]] = {
        pk: [(text, ""), (reasoning, _("Thoughts"))] for pk, text, reasoning in rows
    }
    calls = ToolCall.objects.filter(message__in=ids)
    for pk, *said in calls.values_list("message", "name", *begins("arguments", "result")):
        found[pk] += [(text, _("Tool call")) for text in said]
    return found


def _row(
    message: Message, hidden: bool, title: str, texts: list[Said] | None, terms: list[Term]
) -> Row:
    conversation: Conversation = message.conversation
    generation = getattr(message, "generation", None)
    item: ReviewItem | None = getattr(message, "review", None)
    marks = [badges.hidden(item.outcome if item else "")] if message.withheld_at else []
    marks += [badge_of(generation.state)] if generation and generation.state != "complete" else []
    if conversation.deleted_at:
        marks.append(badges.DELETED)
    row = Row(
        message=message,
        who=name_of(conversation.owner, hidden=hidden),
        kind={Role.ASSISTANT: _("Reply"), Role.USER: _("Message")}.get(
            Role(message.role), message.get_role_display()
        ),
        title=title,
        model=generation.model if generation else "",
        marks=marks,
        categories=_gravest(message),
        item=item,
    )
    if item is not None:
        decisions = list(item.decisions.all())
        row.marks = [*badges.reasons(item), *row.marks]
        row.outcome = in_words(decisions[-1]) if decisions else ""
        if item.state == ReviewState.CLOSED:  # its outcome says so
            row.marks = [mark for mark in row.marks if mark != badges.REMOVED]
    row.marks += [
        Badge("warn", _("Bad reply")) for f in message.feedback.all() if f.opinion == "bad"
    ][:1]
    if texts is not None:
        shown, row.found_in = next((said for said in texts if has(said[0], terms)), texts[0])
        row.excerpt = excerpt(shown, terms)
    return row


def _gravest(message: Message) -> list[tuple[str, float]]:
    """The categories with the highest scores, of all backends, that say something."""
    highest: dict[str, float] = {}
    for verdict in message.verdicts.all():
        for category, score in scores(verdict):
            highest[category] = max(score, highest.get(category, 0.0))
    ranked = sorted(highest.items(), key=lambda each: -each[1])
    return [each for each in ranked if each[1] >= 0.1][:CATEGORIES]
