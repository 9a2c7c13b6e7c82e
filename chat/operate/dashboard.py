"""The charts of the metrics page, in words."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

from django.utils.translation import gettext as _

from chat.models import ErrorKind, PaidFor, State, Transport, VerdictState
from chat.models.generation import TERMINAL
from chat.operate import measures
from chat.operate.charts import Chart, Series, Text
from chat.operate.measures import TTFT, Ended, Timings, percentile
from chat.operate.periods import Asked
from chat.operate.tables import STOP_REASONS

GREEN, ORANGE, BLUE, RED, PURPLE, OLIVE, CYAN, GREY = range(1, 9)
MIX = (GREEN, BLUE, ORANGE, PURPLE, CYAN, OLIVE, RED)  # for names that mean nothing to us
ALARMS = (RED, ORANGE, PURPLE, OLIVE, BLUE, CYAN, GREEN)
NAMES_MAX = len(MIX)  # in a chart; the rest are one
STATE_COLOURS = {
    State.COMPLETE: GREEN,
    State.STOPPED: GREY,
    State.INTERRUPTED: ORANGE,
    State.FAILED: RED,
}
VERDICT_COLOURS = {
    VerdictState.PASSED: GREEN,
    VerdictState.FLAGGED: RED,
    VerdictState.ERROR: ORANGE,
    VerdictState.OVERRIDDEN: BLUE,
}
PURPOSE_COLOURS = {PaidFor.REPLY: GREEN, PaidFor.TITLE: BLUE, PaidFor.MODERATION: PURPLE}
BINS_MS = (100, 200, 300, 500, 750, 1000, 1500, 2000, 3000, 5000, 10_000, 30_000)


def measured() -> list[tuple[str, str, int]]:
    """The three parts of the time to first token: field, name, colour."""
    names = (_("Provider"), _("Served"), _("Perceived"))
    return list(zip(TTFT, names, (BLUE, GREEN, ORANGE), strict=True))


def charts(asked: Asked, timings: Timings, found: Sequence[Ended]) -> list[Chart]:
    replies = [one for one in found if one.purpose == PaidFor.REPLY]
    return [
        _ttft_over_time(asked, timings),
        _ttft_distribution(timings),
        _ttft_by("model", _("Model"), timings.models, lambda name: name or _("unknown")),
        _ttft_by("transport", _("Transport"), timings.transports, _transport),
        _speed_over_time(asked, timings),
        _gaps_over_time(asked, timings),
        _stacked("replies", _("Replies by model"), asked, replies, "model", lambda name: name),
        _states(asked, replies),
        _stacked("errors", _("Errors"), asked, replies, "error_kind", ErrorKind.words, ALARMS),
        _stacked(
            "stops",
            _("Stopped and abandoned"),
            asked,
            replies,
            "stop_reason",
            lambda name: STOP_REASONS.get(name, name),
        ),
        _verdicts(asked),
        _backlog(asked),
        _tokens(asked, found),
        _cost(asked, found),
    ]


def _ttft_over_time(asked: Asked, timings: Timings) -> Chart:
    series = []
    for field, name, colour in measured():
        steps = timings.steps[field]
        p50 = [percentile(one, 0.5) for one in steps]
        p95 = [percentile(one, 0.95) for one in steps]
        series.append(Series(f"{name} p50", p50, colour))
        series.append(Series(f"{name} p95", p95, colour, dashed=True))
    note = _(
        "Provider: request to first piece. Served: message accepted to first piece on its way."
        " Perceived: click to first text on screen, as browsers measured it."
    )
    title = _("Time to first token")
    return Chart("ttft", title, "line", "ms", asked.labels, series, note, _time(), wide=True)


def _ttft_distribution(timings: Timings) -> Chart:
    edges = [f"{edge / 1000:g} s" for edge in BINS_MS]
    labels = [f"≤ {edges[0]}", *[f"≤ {edge}" for edge in edges[1:]], f"> {edges[-1]}"]
    series = []
    for field, name, colour in measured():
        bins = _histogram(timings.whole[field])
        total = sum(bins)
        shares = [count / total * 100 if total else None for count in bins]
        series.append(Series(name, shares, colour))
    note = _("The share of replies in each range.")
    title = _("Distribution of the time to first token")
    return Chart("distribution", title, "bars", "percent", labels, series, note, _("Time"))


def _histogram(ordered: Iterable[float]) -> list[int]:
    bins = [0] * (len(BINS_MS) + 1)
    at = 0
    for value in ordered:
        while at < len(BINS_MS) and value > BINS_MS[at]:
            at += 1
        bins[at] += 1
    return bins


def _ttft_by(
    slug: str,
    what: str,
    groups: dict[str, dict[str, list[float]]],
    name_of: Callable[[str], Text],
) -> Chart:
    sizes: Counter[str] = Counter()
    for group in groups.values():
        sizes |= Counter({key: len(one) for key, one in group.items()})
    keys = [key for key, _count in sizes.most_common()]
    series = []
    for share, words in ((0.5, "p50"), (0.95, "p95")):
        for field, name, colour in measured():
            values = [percentile(groups[field].get(key, []), share) for key in keys]
            series.append(Series(f"{name} {words}", values, colour, plotted=share == 0.5))
    title = _("Median time to first token by %(what)s") % {"what": what.lower()}
    labels = [str(name_of(key)) for key in keys]
    note = ""
    if len(keys) > NAMES_MAX:
        note = _("The %(count)s with the most replies; the table has them all.") % {
            "count": NAMES_MAX
        }
    return Chart(f"by-{slug}", title, "names", "ms", labels, series, note, what, plotted=NAMES_MAX)


def _transport(name: str) -> Text:
    return Transport(name).label if name else _("nobody watched")


def _speed_over_time(asked: Asked, timings: Timings) -> Chart:
    steps = timings.steps["tokens_per_second"]
    series = [
        Series(_("Median"), [percentile(one, 0.5) for one in steps], GREEN),
        Series(_("Slowest 5 %"), [percentile(one, 0.05) for one in steps], GREEN, dashed=True),
    ]
    note = _("Completion tokens over the time in which the model wrote, without that of tools.")
    title = _("Tokens per second")
    return Chart("speed", title, "line", "per_second", asked.labels, series, note, _time())


def _gaps_over_time(asked: Asked, timings: Timings) -> Chart:
    steps = timings.steps["inter_token_p95_ms"]
    series = [
        Series(_("Median reply"), [percentile(one, 0.5) for one in steps], PURPLE),
        Series(_("Worst 5 %"), [percentile(one, 0.95) for one in steps], PURPLE, dashed=True),
    ]
    note = _("Of each reply the 95th percentile: how long the text stood still.")
    title = _("Time between tokens")
    return Chart("gaps", title, "line", "ms", asked.labels, series, note, _time())


def _stacked(
    slug: str,
    title: str,
    asked: Asked,
    found: Iterable[Ended],
    field: str,
    name_of: Callable[[str], Text],
    colours: Sequence[int] = MIX,
) -> Chart:
    """Counts by the values of a field; the rarest ones are one."""
    steps, count = asked.steps, asked.period.count
    by_name: defaultdict[str, list[float | None]] = defaultdict(lambda: [0] * count)
    totals: Counter[str] = Counter()
    for one in found:
        name = getattr(one, field)
        if name and one.unit in steps:
            by_name[name][steps[one.unit]] = (by_name[name][steps[one.unit]] or 0) + one.count
            totals[name] += one.count
    names = [name for name, _count in totals.most_common()]
    series = [
        Series(name_of(name), by_name[name], colour)
        for name, colour in zip(names, colours, strict=False)
    ]
    if rest := names[NAMES_MAX:]:
        others = [sum(by_name[name][step] or 0 for name in rest) for step in range(count)]
        series.append(Series(_("Other"), others, GREY))
    return Chart(slug, title, "stacked", "count", asked.labels, series, "", _time())


def _states(asked: Asked, found: Iterable[Ended]) -> Chart:
    counts: dict[str, list[float | None]] = {state: [0] * asked.period.count for state in TERMINAL}
    steps = asked.steps
    for one in found:
        if one.state in counts and one.unit in steps:
            step = steps[one.unit]
            counts[one.state][step] = (counts[one.state][step] or 0) + one.count
    series = [Series(state.label, counts[state], colour) for state, colour in STATE_COLOURS.items()]
    title = _("How replies ended")
    return Chart("states", title, "stacked", "count", asked.labels, series, "", _time())


def _verdicts(asked: Asked) -> Chart:
    counts: dict[str, list[float | None]] = {
        state: [0] * asked.period.count for state in VERDICT_COLOURS
    }
    for step, state, count in measures.verdicts(asked):
        if state in counts:
            counts[state][step] = count + (counts[state][step] or 0)
    series = [
        Series(state.label, counts[state], colour) for state, colour in VERDICT_COLOURS.items()
    ]
    note = _("By the time of the verdict; of all models and transports.")
    title = _("Moderation verdicts")
    return Chart("verdicts", title, "stacked", "count", asked.labels, series, note, _time())


def _backlog(asked: Asked) -> Chart:
    found = measures.backlog(asked)
    series = [
        Series(_("Came in"), found.opened, ORANGE),
        Series(_("Decided"), found.closed, GREEN),
        Series(_("Waiting"), found.left, BLUE, line=True),
    ]
    note = _("Of all models and transports.")
    title = _("Reviewers' backlog")
    return Chart("backlog", title, "bars", "count", asked.labels, series, note, _time())


def _tokens(asked: Asked, found: Iterable[Ended]) -> Chart:
    sent = _summed(asked, found, lambda one: one.prompt_tokens)
    written = _summed(asked, found, lambda one: one.completion_tokens)
    series = [Series(_("To models"), sent, BLUE), Series(_("From models"), written, GREEN)]
    note = _("Of replies, titles and moderation.")
    return Chart("tokens", _("Tokens"), "stacked", "count", asked.labels, series, note, _time())


def _cost(asked: Asked, found: Iterable[Ended]) -> Chart:
    note = _("Of the models that have a price in MODEL_PRICES.")
    series = []
    for purpose, colour in PURPOSE_COLOURS.items():
        mine = [one for one in found if one.purpose == purpose and one.cost]
        if mine:
            costs = _summed(asked, mine, lambda one: float(one.cost or 0))
            series.append(Series(purpose.label, costs, colour))
    return Chart("cost", _("Cost"), "stacked", "money", asked.labels, series, note, _time())


def _summed(
    asked: Asked, found: Iterable[Ended], value: Callable[[Ended], float]
) -> list[float | None]:
    steps = asked.steps
    sums = [0.0] * asked.period.count
    for one in found:
        if one.unit in steps:
            sums[steps[one.unit]] += value(one)
    return [*sums]


def _time() -> str:
    return _("Time (UTC)")
