"""The status page's tables, in words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from chat.models import ErrorKind, Purpose, State
from chat.models.generation import TERMINAL
from chat.operate import figures, process
from chat.operate.figures import DAY, HOUR, Counted, Waiting

NOTHING = "–"
TONES = {"ok": "good", "ready": "good", "loading": "warn", "draining": "warn"}
CHECKS: dict[str, str | Promise] = {
    "database": gettext_lazy("Database"),
    "redis": gettext_lazy("Redis"),
    "serving": gettext_lazy("Serving"),
    "model": gettext_lazy("Model"),
}
STOP_REASONS: dict[str, str | Promise] = {
    "user": gettext_lazy("Stopped by its user"),
    "deleted": gettext_lazy("Conversation deleted"),
    "no_viewer": gettext_lazy("Nobody watched any more"),
    "drained": gettext_lazy("The server stopped"),
    "orphaned": gettext_lazy("Its worker died"),
    "claim_lost": gettext_lazy("Taken over by another worker"),
    "moderation": gettext_lazy("Stopped by moderation"),
    "deadline": gettext_lazy("The provider fell silent"),
}


class Row(NamedTuple):
    name: str | Promise
    cells: list[str]
    tone: str = ""  # good, warn or bad: a class of operate.css; the words say it all


@dataclass(frozen=True, slots=True)
class Table:
    slug: str
    title: str
    head: list[str]
    rows: list[Row] = field(default_factory=list)
    note: str = ""
    empty: str = ""


def tables(checks: Mapping[str, str], now: datetime) -> list[Table]:
    return [
        _readiness(checks),
        _this_process(),
        _generations(now),
        _backlog(now),
        _outcomes(now),
        _first_tokens(now),
        _workers(now),
        _reasons(now),
        _errors(now),
    ]


def _readiness(checks: Mapping[str, str]) -> Table:
    rows = [
        Row(CHECKS.get(name, name), [reason], TONES.get(reason, "bad"))
        for name, reason in checks.items()
    ]
    return Table("readiness", _("Readiness"), [_("Dependency"), _("State")], rows)


def _this_process() -> Table:
    rows = [
        Row(_("Version of Parley"), [process.version()]),
        Row(_("Host"), [process.HOST]),
        Row(_("Process id"), [str(process.pid())]),
        Row(_("Uptime"), [age(process.uptime_s())]),
        Row(_("Open pages"), [str(process.pages())]),
        Row(_("Worker"), [process.worker() or _("none: replies are written elsewhere")]),
    ]
    return Table("process", _("This process"), [_("Fact"), _("Value")], rows)


def _generations(now: datetime) -> Table:
    found = figures.active()
    rows = [
        _waiting(words, found.get((purpose, state), Waiting()), now)
        for words, purpose, state in (
            (_("Replies queued"), Purpose.REPLY, State.QUEUED),
            (_("Replies being written"), Purpose.REPLY, State.STREAMING),
            (_("Titles queued"), Purpose.TITLE, State.QUEUED),
            (_("Titles being written"), Purpose.TITLE, State.STREAMING),
        )
    ]
    head = [_("Generations"), _("Count"), _("Oldest")]
    return Table("generations", _("Queued and running"), head, rows)


def _backlog(now: datetime) -> Table:
    rows = [
        _waiting(_("Unreconciled replies"), figures.unreconciled(), now),
        _waiting(_("Pending verdicts"), figures.pending_verdicts(), now),
    ]
    note = _("Replies that ended and wait for their receipt or for moderation.")
    return Table("backlog", _("Backlog"), [_("Backlog"), _("Count"), _("Oldest")], rows, note)


def _workers(now: datetime) -> Table:
    rows = []
    for seen in figures.workers(now):
        heartbeat = age((now - seen.heartbeat).total_seconds()) if seen.heartbeat else NOTHING
        rows.append(Row(seen.name, [heartbeat, str(seen.writing), str(seen.claimed)]))
    return Table(
        "workers",
        _("Workers seen"),
        [_("Worker"), _("Heartbeat"), _("Writing"), _("24 hours")],
        rows,
        _("The newest heartbeat of each, from its replies: a worker without work sends none."),
        _("None in the last 24 hours."),
    )


def _outcomes(now: datetime) -> Table:
    found = {one.name: one for one in figures.counted("state", now)}
    ended = [found.get(state, Counted(state)) for state in TERMINAL]
    rows = [_count(State(one.name).label, one) for one in ended]
    total = Counted("", sum(one.hour for one in ended), sum(one.day for one in ended))
    rows.append(_count(_("All that have ended"), total))
    note = _("By the time at which they were asked for.")
    return Table("outcomes", _("Replies"), _spans(_("Outcome")), rows, note)


def _reasons(now: datetime) -> Table:
    found = figures.counted("stop_reason", now)
    rows = [_count(STOP_REASONS.get(one.name, one.name), one) for one in found]
    empty = _("None was ended early in the last 24 hours.")
    return Table("reasons", _("Why replies were ended"), _spans(_("Reason")), rows, empty=empty)


def _errors(now: datetime) -> Table:
    rows = [_count(ErrorKind.words(one.name), one) for one in figures.counted("error_kind", now)]
    empty = _("None in the last 24 hours.")
    return Table("errors", _("Errors"), _spans(_("Kind")), rows, empty=empty)


def _first_tokens(now: datetime) -> Table:
    rows = []
    for words, field_name in (
        (_("Provider"), "ttft_provider_ms"),
        (_("Served"), "ttft_served_ms"),
    ):
        for span, span_words in ((HOUR, _("1 hour")), (DAY, _("24 hours"))):
            found = figures.spread(field_name, span, now)
            cells = [span_words, str(found.count), milliseconds(found.p50), milliseconds(found.p95)]
            rows.append(Row(words, cells))
    note = _(
        "Provider: from the request to the first piece of the answer. Served: from the message"
        " being accepted to the first piece on the way to its page."
    )
    head = [_("Measured"), _("Within"), _("Replies"), _("p50"), _("p95")]
    return Table("ttft", _("Time to first token"), head, rows, note)


def _waiting(words: str, found: Waiting, now: datetime) -> Row:
    oldest = age((now - found.oldest).total_seconds()) if found.oldest else NOTHING
    return Row(words, [str(found.count), oldest])


def _count(words: str | Promise, found: Counted) -> Row:
    return Row(words, [str(found.hour), str(found.day)])


def _spans(first: str) -> list[str]:
    return [first, _("1 hour"), _("24 hours")]


def age(seconds: float) -> str:
    """So long, as one says it: 12 s, 5 min, 3 h 20 min, 4 d 7 h."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return _("%(days)s d %(hours)s h") % {"days": days, "hours": hours}
    if hours:
        return _("%(hours)s h %(minutes)s min") % {"hours": hours, "minutes": minutes}
    if minutes:
        return _("%(minutes)s min") % {"minutes": minutes}
    return _("%(seconds)s s") % {"seconds": rest}


def milliseconds(value: float | None) -> str:
    """Milliseconds up to one second, seconds above."""
    if value is None:
        return NOTHING
    if value < 1000:
        return _("%(number)s ms") % {"number": f"{value:.0f}"}
    return _("%(number)s s") % {"number": f"{value / 1000:.2f}"}
