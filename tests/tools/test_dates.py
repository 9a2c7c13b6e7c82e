"""The time in a zone, and how far dates are apart."""

import json
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from chat.tools.base import Context, InvalidArguments, ToolFailed
from chat.tools.dates import current_time, date_arithmetic


async def compute(context: Context, **arguments: Any) -> dict[str, Any]:
    date_arithmetic.check(arguments)
    found: dict[str, Any] = json.loads(await date_arithmetic.run(arguments, context))
    return found


async def test_the_time_is_that_of_the_zone(context: Context) -> None:
    found = json.loads(await current_time.run({"time_zone": "Asia/Kathmandu"}, context))
    time = datetime.fromisoformat(found["time"])
    assert time.utcoffset() == datetime.now(ZoneInfo("Asia/Kathmandu")).utcoffset()
    assert found["weekday"] == time.strftime("%A")
    assert json.loads(await current_time.run({}, context))["time"].endswith("+00:00")


@pytest.mark.parametrize("zone", ["Mars/Base", "../../etc/passwd", "Europe", "", "\0", "/etc"])
def test_an_unknown_zone_is_invalid(zone: str) -> None:
    with pytest.raises(InvalidArguments, match=r"time_zone: .*Europe/Berlin"):
        current_time.check({"time_zone": zone})


@pytest.mark.parametrize(
    ("arguments", "date", "weekday"),
    [
        ({"date": "2025-01-31", "months": 1}, "2025-02-28", "Friday"),
        ({"date": "2024-02-29", "years": 1}, "2025-02-28", "Friday"),
        ({"date": "2025-03-01", "days": -1}, "2025-02-28", "Friday"),
        ({"date": "2025-01-15", "months": -13, "weeks": 1}, "2023-12-22", "Friday"),
        ({"date": "2025-12-31", "hours": 25}, "2026-01-01T01:00:00", "Thursday"),
        ({"date": "2025-03-30T01:30+01:00", "minutes": 45}, "2025-03-30T02:15:00+01:00", "Sunday"),
    ],
)
async def test_adding(arguments: dict[str, Any], date: str, weekday: str, context: Context) -> None:
    assert await compute(context, **arguments) == {"date": date, "weekday": weekday}


async def test_differences(context: Context) -> None:
    assert await compute(context, date="2024-01-31", until="2025-03-01") == {
        "days": 395,
        "weeks_and_days": [56, 3],
        "years_months_days": [1, 1, 1],
    }
    back = await compute(context, date="2025-03-01", until="2024-01-31")
    assert (back["days"], back["years_months_days"]) == (-395, [-1, -1, -1])
    timed = await compute(context, date="2025-01-01T12:00Z", until="2025-01-01T13:30+01:00")
    assert (timed["days"], timed["hours"], timed["seconds"]) == (0, 0.5, 1800.0)


async def test_what_cannot_be(context: Context) -> None:
    for arguments in ({"years": 8000}, {"days": 10_000_000}, {"months": -30_000}):
        with pytest.raises(ToolFailed, match="1 to 9999"):
            await compute(context, date="2025-01-01", **arguments)
    with pytest.raises(ToolFailed, match="time zone"):
        await compute(context, date="2025-01-01T00:00Z", until="2025-01-01T00:00")
    with pytest.raises(InvalidArguments, match=r"date: .*ISO 8601"):
        date_arithmetic.check({"date": "next Tuesday"})
    with pytest.raises(InvalidArguments, match="not both"):
        date_arithmetic.check({"date": "2025-01-01", "until": "2025-01-02", "days": 1})
    with pytest.raises(InvalidArguments, match="days: "):
        date_arithmetic.check({"date": "2025-01-01", "days": 10**12})
