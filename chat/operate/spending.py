"""Usage and cost by day, by user and by group, as tables and as CSV."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from django.conf import settings
from django.db.models import Count, Q, Sum
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from chat import safe_csv
from chat.models import Purpose
from chat.operate.charts import money
from chat.operate.measures import Ended
from chat.operate.periods import DAY_CHARS, Asked

ROWS_SHOWN = 50
WAYS: dict[str, str | Promise] = {
    "day": gettext_lazy("Day"),
    "user": gettext_lazy("User"),
    "group": gettext_lazy("Group"),
}


@dataclass(slots=True)
class Spent:
    """What one day, user or group has used; ``cost`` is None where no model had a price."""

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


def by_day(found: Iterable[Ended]) -> Spending:
    """The newest day first."""
    days: dict[str, Spent] = {}
    for one in found:
        day = one.hour[:DAY_CHARS]
        days.setdefault(day, Spent(day)).add(one, one.count * (one.purpose == Purpose.REPLY))
    return _spending("day", sorted(days.values(), key=lambda spent: spent.name, reverse=True))


def by_user(asked: Asked) -> Spending:
    """Who has cost most first."""
    return _spending("user", _grouped("user__username", asked))


def by_group(asked: Asked, total: Spent) -> Spending:
    """Who is in two groups is counted in both: the total is that of the ledger, not their sum."""
    return Spending("group", _grouped("user__groups__name", asked), total)


def _grouped(name: str, asked: Asked) -> list[Spent]:
    rows = asked.usage().values_list(name).order_by()
    summed = rows.annotate(
        *[Sum(one) for one in ("calls", "prompt_tokens", "completion_tokens", "cost")],
        replies=Count("pk", filter=Q(purpose=Purpose.REPLY)),
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
        case _:
            return by_day(found)


def as_csv(spending: Spending) -> str:
    head = [spending.by, "replies", "provider_calls", "prompt_tokens", "completion_tokens", "cost"]
    currency = settings.PRICE_CURRENCY
    rows = [[row.name, *row.figures[:-1], _exact(row.cost), currency] for row in spending.rows]
    return safe_csv.lines([[*head, "currency"], *rows])


def _exact(cost: Decimal | None) -> str:
    """As the ledger has it; SQLite's sums are binary fractions."""
    return "" if cost is None else f"{cost:.6f}"
