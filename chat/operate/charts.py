"""Charts: what is plotted, and the table behind each plot. They know no database."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from chat.operate.tables import NOTHING, milliseconds

Kind = Literal["line", "bars", "stacked", "names"]
Unit = Literal["ms", "count", "percent", "per_second", "money"]
Text = str | Promise


@dataclass(frozen=True, slots=True)
class Series:
    """``colour`` is the number of one of the theme's chart colours."""

    name: Text
    values: Sequence[float | None]
    colour: int
    dashed: bool = False
    plotted: bool = True  # else it is in the table alone
    line: bool = False  # among bars

    def data(self, count: int | None) -> dict[str, Any]:
        return {
            "name": str(self.name),
            "values": self.values[:count],
            "colour": self.colour,
            "dashed": self.dashed,
            "line": self.line,
        }


@dataclass(frozen=True, slots=True)
class Chart:
    """``plotted`` is how many of its labels are drawn, if not all; the table has them all.

    Of the kind "names" each label is a name, and the bars lie.
    """

    slug: str
    title: str
    kind: Kind
    unit: Unit
    labels: Sequence[str]
    series: list[Series] = field(default_factory=list)
    note: str = ""
    head: str = ""  # of the first column
    wide: bool = False
    plotted: int | None = None

    @property
    def is_empty(self) -> bool:
        return not any(value for one in self.series for value in one.values)

    @property
    def summary(self) -> str:
        """The chart in a sentence, for those who do not see it."""
        names = ", ".join(str(one.name) for one in self.series if one.plotted)
        return _("%(title)s: %(names)s. The table below has the figures.") % {
            "title": self.title,
            "names": names,
        }

    @property
    def rows(self) -> list[tuple[str, list[str]]]:
        """The table's rows, without those that say nothing."""
        return [
            (label, [written(one.values[number], self.unit) for one in self.series])
            for number, label in enumerate(self.labels)
            if any(one.values[number] for one in self.series)
        ]

    def data(self) -> dict[str, Any]:
        """For charts.js."""
        return {
            "slug": self.slug,
            "kind": self.kind,
            "unit": self.unit,
            "labels": [str(label) for label in self.labels[: self.plotted]],
            "series": [one.data(self.plotted) for one in self.series if one.plotted],
        }


def written(value: float | None, unit: Unit) -> str:
    """A value with its unit, as a table shows it."""
    if value is None:
        return NOTHING
    match unit:
        case "ms":
            return milliseconds(value)
        case "percent":
            return percent(value)
        case "per_second":
            return f"{value:.1f}"
        case "money":
            return money(value)
        case "count":
            return f"{value:,.0f}"


def percent(value: float) -> str:
    return f"{value:.1f} %"


def money(value: float | None) -> str:
    if value is None:
        return NOTHING
    digits = 2 if abs(value) >= 1 or not value else 4
    return f"{value:,.{digits}f} {settings.PRICE_CURRENCY}"
