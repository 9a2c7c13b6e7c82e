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
        """When each step begins, in UTC."""
        step = timedelta(hours=self.period.step_h)
        midnight = self.now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        last = midnight + (self.now - midnight) // step * step
        return [last - step * back for back in reversed(range(self.period.count))]

    @property
    def labels(self) -> list[str]:
        """A step in words: its hour, its day, or both."""
        if self.period.step_h == 24:
            return [formats.date_format(start, "j M") for start in self.starts]
        form = "H:i" if self.slug == "24h" else "j M H:i"
        return [formats.date_format(start, form) for start in self.starts]

    @property
    def steps(self) -> dict[str, int]:
        """The number of the step that an hour is in, by the hour as ``hour_of`` gives it."""
        hours = [
            (start + timedelta(hours=hour), number)
            for number, start in enumerate(self.starts)
            for hour in range(self.period.step_h)
        ]
        return {hour.strftime("%Y-%m-%d %H"): number for hour, number in hours}

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


def hour_of(field: str) -> Left:
    """The hour of a time, as text: the databases are on UTC, and to cut a text costs nothing."""
    return Left(Cast(field, CharField()), HOUR_CHARS)
