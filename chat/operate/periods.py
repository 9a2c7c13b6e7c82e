"""What an operator asks to see: how far back, in which steps, of which model and transport."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import CharField, QuerySet
from django.db.models.functions import Cast, Left
from django.utils import formats
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from chat.models import Transport, Usage

HOUR_CHARS, DAY_CHARS = 13, 10  # of a time as both databases write it: 2026-11-22 19
MONDAY = datetime(2024, 1, 1, tzinfo=UTC)  # steps of any length are counted from here


@dataclass(frozen=True, slots=True)
class Period:
    """``count`` steps of so many hours, the last of which is the present one."""

    name: str | Promise
    step_h: int
    count: int


PERIODS = {
    "24h": Period(_("24 hours"), 1, 24),
    "7d": Period(_("7 days"), 6, 28),
    "30d": Period(_("30 days"), 24, 30),
    "90d": Period(_("90 days"), 24, 90),
    "1y": Period(_("1 year"), 7 * 24, 53),
}
DEFAULT = "7d"


@dataclass(frozen=True, slots=True)
class Asked:
    """``model`` and ``transport`` are empty for all of them."""

    slug: str
    model: str
    transport: str
    now: datetime

    @property
    def period(self) -> Period:
        return PERIODS[self.slug]

    @property
    def starts(self) -> list[datetime]:
        """When each step begins, in UTC: at a full hour, at midnight, on a Monday."""
        step = timedelta(hours=self.period.step_h)
        last = MONDAY + (self.now - MONDAY) // step * step
        return [last - step * back for back in reversed(range(self.period.count))]

    @property
    def labels(self) -> list[str]:
        """A step in words: its hour, its day, or both."""
        if self.period.step_h >= 24:
            form = "j M" if self.period.step_h == 24 else "j M Y"
            return [formats.date_format(start, form) for start in self.starts]
        form = "H:i" if self.slug == "24h" else "j M H:i"
        return [formats.date_format(start, form) for start in self.starts]

    @property
    def _by_day(self) -> bool:
        """Are its steps of whole days? Then there is no need to count by hours."""
        return self.period.step_h % 24 == 0

    @property
    def steps(self) -> dict[str, int]:
        """The number of the step that a time is in, by the time as ``unit_of`` gives it."""
        unit_h, form = (24, "%Y-%m-%d") if self._by_day else (1, "%Y-%m-%d %H")
        units = [
            (start + timedelta(hours=hour), number)
            for number, start in enumerate(self.starts)
            for hour in range(0, self.period.step_h, unit_h)
        ]
        return {unit.strftime(form): number for unit, number in units}

    def unit_of(self, field: str) -> Left:
        """The hour or day of a time, as text: the databases are on UTC, and to cut a text costs
        nothing.
        """
        return Left(Cast(field, CharField()), DAY_CHARS if self._by_day else HOUR_CHARS)

    def usage(self) -> QuerySet[Usage]:
        """The rows of the ledger that are asked for."""
        rows = Usage.objects.filter(ended_at__gte=self.starts[0], ended_at__lte=self.now)
        if self.model:
            rows = rows.filter(model=self.model)
        if self.transport:
            rows = rows.filter(transport=self.transport)
        return rows


def asked(given: Mapping[str, Any], now: datetime) -> Asked:
    """What a query says; of what it says wrongly, the default."""
    slug, transport = str(given.get("range", "")), str(given.get("transport", ""))
    return Asked(
        slug if slug in PERIODS else DEFAULT,
        str(given.get("model", ""))[:200].replace("\0", ""),
        transport if transport in Transport.values else "",
        now,
    )
