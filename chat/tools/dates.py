"""What time it is, and how far one date is from another."""

import calendar
import json
from datetime import UTC, datetime, timedelta
from datetime import date as Day  # noqa: N812  # an argument has the other name
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from pydantic import AfterValidator, Field, model_validator

from chat.tools.base import Context, ToolFailed
from chat.tools.functions import Arguments, tool

ZONE_CHARS = 64
MOST = 100_000_000  # of a unit; dates reach from year 1 to 9999, and seconds need the room


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # OSError: the name of a directory
        raise ValueError("no such time zone; use an IANA name such as Europe/Berlin") from None
    return name


def _iso(text: str) -> str:
    try:
        _moment(text)
    except ValueError:
        raise ValueError("not an ISO 8601 date or time, such as 2025-03-31") from None
    return text


def _moment(text: str) -> datetime | Day:
    return Day.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)


D = TypeVar("D", Day, datetime, datetime | Day)
Moment = Annotated[str, Field(max_length=40), AfterValidator(_iso)]
Count = Annotated[int, Field(ge=-MOST, le=MOST)]


class Place(Arguments):
    time_zone: Annotated[str, Field(max_length=ZONE_CHARS), AfterValidator(_known_zone)] = Field(
        "UTC", description="an IANA name, such as Europe/Berlin"
    )


@tool(_("Current time"))
def current_time(arguments: Place, context: Context) -> str:
    """The current date and time in a time zone."""
    now = timezone.now().astimezone(ZoneInfo(arguments.time_zone))
    found = {
        "time": now.isoformat(timespec="seconds"),
        "weekday": calendar.day_name[now.weekday()],
        "time_zone": arguments.time_zone,
    }
    return json.dumps(found)


class DateCalculation(Arguments):
    date: Moment = Field(description="ISO 8601: 2025-03-31, or with a time 2025-03-31T14:00")
    until: Moment | None = Field(None, description="another date: return how far it is from date")
    years: Count = 0
    months: Count = 0
    weeks: Count = 0
    days: Count = Field(0, description="to add, as all of these; negative to subtract")
    hours: Count = 0
    minutes: Count = 0
    seconds: Count = 0

    @model_validator(mode="after")
    def one_question(self) -> "DateCalculation":
        if self.until is not None and (self.years or self.months or self._span):
            raise ValueError("give either until or amounts to add, not both")
        return self

    @property
    def _span(self) -> timedelta:
        return timedelta(
            weeks=self.weeks,
            days=self.days,
            hours=self.hours,
            minutes=self.minutes,
            seconds=self.seconds,
        )

    def moved(self) -> datetime | Day:
        """The date with the months added first, then the rest, as people count.

        Raises:
            OverflowError: beyond the years 1 to 9999.
        """
        start = _months_later(_moment(self.date), self.years * 12 + self.months)
        if not isinstance(start, datetime) and (self.hours or self.minutes or self.seconds):
            start = datetime(start.year, start.month, start.day)  # noqa: DTZ001  # of no zone
        return start + self._span


@tool(_("Date arithmetic"))
def date_arithmetic(arguments: DateCalculation, context: Context) -> str:
    """Add to or subtract from a date, or find how far apart two dates are.

    Give date and until for a difference, or date and amounts (years, months, days …) to add.
    """
    if arguments.until is not None:
        return json.dumps(_difference(_moment(arguments.date), _moment(arguments.until)))
    try:
        found = arguments.moved()
    except (OverflowError, ValueError):
        raise ToolFailed("The result is outside the years 1 to 9999.") from None
    return json.dumps({"date": found.isoformat(), "weekday": calendar.day_name[found.weekday()]})


def _difference(start: datetime | Day, end: datetime | Day) -> dict[str, Any]:
    timed = isinstance(start, datetime) or isinstance(end, datetime)
    first, last = _as_time(start), _as_time(end)
    if (first.tzinfo is None) != (last.tzinfo is None):
        raise ToolFailed("Only one of the two times has a time zone.")
    if first.tzinfo is not None:
        first, last = first.astimezone(UTC), last.astimezone(UTC)
    apart = last - first
    size, sign = abs(apart), -1 if apart < timedelta(0) else 1
    found: dict[str, Any] = {
        "days": sign * size.days,
        "weeks_and_days": [sign * (size.days // 7), sign * (size.days % 7)],
        "years_months_days": [
            sign * part for part in _calendar(min(first, last), max(first, last))
        ],
    }
    if timed:
        found["seconds"] = apart.total_seconds()
        found["hours"] = round(apart.total_seconds() / 3600, 4)
    return found


def _months_later(start: D, months: int) -> D:
    """The same day of another month, or that month's last if it has no such day."""
    years, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    if not 1 <= years <= 9999:
        raise OverflowError
    last = calendar.monthrange(years, month + 1)[1]
    return start.replace(year=years, month=month + 1, day=min(start.day, last))


def _as_time(moment: datetime | Day) -> datetime:
    if isinstance(moment, datetime):
        return moment
    return datetime(moment.year, moment.month, moment.day)  # noqa: DTZ001  # of no zone


def _calendar(first: datetime, last: datetime) -> tuple[int, int, int]:
    """The whole months between, as years and months, and the days that remain."""
    months = (last.year - first.year) * 12 + last.month - first.month
    if (last.day, last.time()) < (first.day, first.time()):
        months -= 1
    passed = _months_later(first.date(), months)
    return months // 12, months % 12, (last - datetime.combine(passed, first.timetz())).days
