"""The headline figures of the metrics page, in words."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from chat.models import PaidFor, State
from chat.operate import figures
from chat.operate.charts import money, percent
from chat.operate.measures import Ended, Timings, percentile
from chat.operate.tables import NOTHING, milliseconds


class Tile(NamedTuple):
    """A headline figure."""

    name: str
    value: str
    note: str = ""


def tiles(timings: Timings, found: Sequence[Ended]) -> list[Tile]:
    replies = Counter[str]()
    for one in found:
        replies[one.state] += one.count * (one.purpose == PaidFor.REPLY)
    total = replies.total()
    costs = [one.cost for one in found if one.cost is not None]
    tokens = sum(one.prompt_tokens + one.completion_tokens for one in found)
    unpriced = sum(one.unpriced or 0 for one in found)
    bad = replies[State.FAILED] + replies[State.INTERRUPTED]
    waiting = figures.review()
    reviews = sum(one.count for one in waiting.values())
    verdicts = figures.pending_verdicts().count
    return [
        Tile(_("Replies"), f"{total:,}", _share(replies[State.COMPLETE], total, _("complete"))),
        _spread(_("Perceived first token"), timings.whole["ttft_perceived_ms"]),
        _spread(_("Served first token"), timings.whole["ttft_served_ms"]),
        _speed(timings.whole["tokens_per_second"]),
        Tile(
            _("Failed or interrupted"),
            percent(bad / total * 100) if total else NOTHING,
            ngettext("%(count)s reply", "%(count)s replies", bad) % {"count": f"{bad:,}"},
        ),
        Tile(
            _("Cost"),
            money(float(sum(costs))) if costs else NOTHING,
            _cost_note(tokens, unpriced),
        ),
        Tile(
            _("For reviewers, now"),
            f"{reviews:,}",
            ngettext("%(count)s pending verdict", "%(count)s pending verdicts", verdicts)
            % {"count": f"{verdicts:,}"},
        ),
    ]


def _cost_note(tokens: int, unpriced: int) -> str:
    """Of how many tokens it is, and whether that is all of them."""
    if not unpriced:
        return _("%(count)s tokens") % {"count": f"{tokens:,}"}
    if unpriced == tokens:
        return _("%(count)s tokens of models without a price") % {"count": f"{tokens:,}"}
    share = percent(unpriced / tokens * 100)
    names = {"count": f"{tokens:,}", "share": share}
    return _("%(count)s tokens, %(share)s of them without a price") % names


def _share(part: int, whole: int, what: str) -> str:
    return f"{percent(part / whole * 100)} {what}" if whole else ""


def _spread(name: str, values: Sequence[float]) -> Tile:
    p50, p95 = percentile(values, 0.5), percentile(values, 0.95)
    note = _("median; 95 %% within %(p95)s") % {"p95": milliseconds(p95)} if values else ""
    return Tile(name, milliseconds(p50), note)


def _speed(values: Sequence[float]) -> Tile:
    median = percentile(values, 0.5)
    return Tile(_("Tokens per second"), NOTHING if median is None else f"{median:.0f}", _("median"))
