"""Usage and cost by day, model, purpose, user and group, as tables and as CSV."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from django.conf import settings
from django.db.models import Count, Q, Sum
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from chat import safe_csv
from chat.models import PaidFor
from chat.operate.charts import money
from chat.operate.measures import Ended
from chat.operate.periods import DAY_CHARS, Asked

ROWS_SHOWN = 50
HEADINGS: dict[str, str | Promise] = {
    "day": gettext_lazy("Usage by day"),
    "model": gettext_lazy("Usage by model"),
    "purpose": gettext_lazy("Usage by purpose"),
    "user": gettext_lazy("Usage by user"),
    "group": gettext_lazy("Usage by group"),
}
WAYS: dict[str, str | Promise] = {
    "day": gettext_lazy("Day"),
    "model": gettext_lazy("Model"),
    "purpose": gettext_lazy("Purpose"),
    "user": gettext_lazy("User"),
    "group": gettext_lazy("Group"),
}


@dataclass(slots=True)
class Spent:
    """What one day, model, purpose, user or group has used.

    ``cost`` is None where no model had a price.
    """

    name: str
    replies: int = 0
    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: Decimal | None = None

    def add(self, other: "Spent | Ended", replies: int) -> None:
        self.replies += replies
        self.calls += other.calls
        self.prompt_tokens += other.prompt_tokens
        self.completion_tokens += other.completion_tokens
        if other.cost is not None:
            self.cost = (self.cost or Decimal()) + other.cost

    def take_off(self, other: "Spent") -> None:
        self.replies -= other.replies
        self.calls -= other.calls
        self.prompt_tokens -= other.prompt_tokens
        self.completion_tokens -= other.completion_tokens
        if other.cost is not None:
            self.cost = (self.cost or Decimal()) - other.cost

    @property
    def texts(self) -> list[str]:
        """The figures as the page shows them."""
        *counts, cost = self.figures
        return [*[f"{count:,}" for count in counts], money(None if cost is None else float(cost))]

    @property
    def figures(self) -> list[int | Decimal | None]:
        return [self.replies, self.calls, self.prompt_tokens, self.completion_tokens, self.cost]


@dataclass(slots=True)
class Spending:
    by: str
    rows: list[Spent] = field(default_factory=list)
    total: Spent = field(default_factory=lambda: Spent(""))

    @property
    def shown(self) -> list[Spent]:
        return self.rows[:ROWS_SHOWN]

    @property
    def more(self) -> int:
        return len(self.rows) - len(self.shown)

    @property
    def title(self) -> str | Promise:
        return WAYS[self.by]

    @property
    def heading(self) -> str | Promise:
        return HEADINGS[self.by]


def by_day(found: Iterable[Ended]) -> Spending:
    """The newest day first."""
    days = _summed(found, lambda one: one.unit[:DAY_CHARS])
    return _spending("day", sorted(days, key=lambda spent: spent.name, reverse=True))


def by_model(found: Iterable[Ended]) -> Spending:
    """What has cost most first."""
    models = _summed(found, lambda one: one.model or _("unknown"))
    return _spending("model", sorted(models, key=_dearest))


def by_purpose(found: Iterable[Ended]) -> Spending:
    purposes = {spent.name: spent for spent in _summed(found, lambda one: one.purpose)}
    rows = [purposes[one] for one in PaidFor if one in purposes]
    for row in rows:
        row.name = str(PaidFor(row.name).label)
    return _spending("purpose", rows)


def by_user(asked: Asked) -> Spending:
    """Who has cost most first."""
    return _spending("user", _grouped("user__username", asked))


def by_group(asked: Asked, total: Spent) -> Spending:
    """Who is in two groups is counted in both; a last row takes off what was counted again."""
    spending = _spending("group", _grouped("user__groups__name", asked))
    again = Spent(_("Counted in several groups"))
    again.add(total, total.replies)
    again.take_off(spending.total)
    again.cost = _exact(again.cost)  # a binary fraction may be left of nothing
    if any(again.figures):
        spending.rows.append(again)
    return Spending("group", spending.rows, total)


def _summed(found: Iterable[Ended], name_of: Callable[[Ended], str]) -> list[Spent]:
    spent: dict[str, Spent] = {}
    for one in found:
        name = name_of(one)
        spent.setdefault(name, Spent(name)).add(one, one.count * (one.purpose == PaidFor.REPLY))
    return list(spent.values())


def _grouped(name: str, asked: Asked) -> list[Spent]:
    rows = asked.usage().values_list(name).order_by()
    summed = rows.annotate(
        *[Sum(one) for one in ("calls", "prompt_tokens", "completion_tokens", "cost")],
        replies=Count("pk", filter=Q(purpose=PaidFor.REPLY)),
    )
    spent = [Spent(found or _("No group"), replies, *sums) for found, *sums, replies in summed]
    return sorted(spent, key=_dearest)


def _dearest(spent: Spent) -> tuple[Decimal, int, str]:
    tokens = spent.prompt_tokens + spent.completion_tokens
    return -(spent.cost or Decimal()), -tokens, spent.name


def _spending(by: str, rows: list[Spent]) -> Spending:
    spending = Spending(by, rows)
    for row in rows:
        spending.total.add(row, row.replies)
    return spending


def spending(by: str, asked: Asked, found: Iterable[Ended]) -> Spending:
    """``by`` is one of WAYS; ``found`` is what ended in this time."""
    match by:
        case "user":
            return by_user(asked)
        case "group":
            return by_group(asked, by_day(found).total)
        case "model":
            return by_model(found)
        case "purpose":
            return by_purpose(found)
        case _:
            return by_day(found)


def as_csv(spending: Spending) -> str:
    head = [spending.by, "replies", "provider_calls", "prompt_tokens", "completion_tokens", "cost"]
    currency = settings.PRICE_CURRENCY
    rows = [[row.name, *row.figures[:-1], _exact(row.cost), currency] for row in spending.rows]
    return safe_csv.lines([[*head, "currency"], *rows])


def _exact(cost: Decimal | None) -> Decimal | None:
    """As the ledger has it; SQLite's sums are binary fractions. Zero has no sign."""
    return None if cost is None else cost.quantize(Decimal("0.000001")) + 0
