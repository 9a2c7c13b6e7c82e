"""The figures as tables: one for the terminal, the same as markdown, all of it as JSON."""

import os
import platform
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .experiments import Experiment
from .measure import Figures, middle
from .wording import number
from .workloads import Workload

COLUMNS = (
    "server",
    "TTFT + p50 ms",
    "p99 ms",
    "token + p50 ms",
    "p99 ms",
    "CPU s / 1,000",
    "peak MB",
    "lost",
    "tokens/s",
    "busy (others)",
)
PACKAGES = (
    "django",
    "channels",
    "daphne",
    "openai",
    "redis",
    "fastapi",
    "uvicorn",
    "aiohttp",
    "httpx2",
)


@dataclass
class Row:
    """One server under one experiment: a figure for each round, or why there is none."""

    label: str = ""
    rounds: list[Any] = field(default_factory=list)
    skipped: str = ""

    @property
    def missing(self) -> str:
        return f"skipped: {self.skipped}" if self.skipped else "did not run"


Results = dict[str, Row]  # by server
Table = list[list[str]]  # the first line names the columns


def table(experiment: Experiment, results: Results) -> Table:
    """What ran; notes() say what did not."""
    ran = [row for row in results.values() if row.rounds]
    if isinstance(experiment, Workload):
        return [list(COLUMNS), *map(comparison, ran)]
    return figure_by_figure(ran)


def comparison(row: Row) -> list[str]:
    """A line of the servers' table."""
    figures: Figures = middle(row.rounds)
    wrong = (
        str(figures.lost),
        f"{figures.misstored} in transcript" if figures.misstored else "",
        f"{figures.failed} failed" if figures.failed else "",
    )
    return [
        row.label,
        number(figures.ttft_p50),
        number(figures.ttft_p99),
        number(figures.token_p50),
        number(figures.token_p99),
        "–" if figures.cpu_s_per_1000 is None else f"{figures.cpu_s_per_1000:.3f}",
        "–" if figures.peak_rss_mb is None else f"{figures.peak_rss_mb:.0f}",
        ", ".join(filter(None, wrong)),
        f"{figures.tokens_per_s:,.0f}",
        f"{figures.machine_busy:.0%} ({figures.others_busy:.0%})",
    ]


def figure_by_figure(ran: list[Row]) -> Table:
    """A line for each figure, a column for each server."""
    columns = [middle(row.rounds).lines() for row in ran]
    lines = [[line[0][0], *(words for _, words in line)] for line in zip(*columns, strict=True)]
    return [["", *(row.label for row in ran)], *lines]


def text(experiment: Experiment, results: Results) -> str:
    rows = table(experiment, results)
    if len(rows) == 1:
        return "\n".join([heading(experiment, results), *notes(experiment, results), ""])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if not at else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([heading(experiment, results), "", *lines, *notes(experiment, results), ""])


def markdown(experiment: Experiment, results: Results) -> str:
    columns, *rows = table(experiment, results)
    align = ["---", *["---:"] * (len(columns) - 1)]
    lines = ["| " + " | ".join(cells) + " |" for cells in (columns, align, *rows)]
    under = notes(experiment, results)
    return "\n".join([f"**{heading(experiment, results)}**", "", *lines, "", *under, ""])


def heading(experiment: Experiment, results: Results) -> str:
    rounds = max((len(row.rounds) for row in results.values()), default=0)
    median = f" (median of {rounds} rounds)" if rounds > 1 else ""
    return f"{experiment.name}: {experiment.title}{median}"


def notes(experiment: Experiment, results: Results) -> list[str]:
    """What the table has no column for."""
    missing = [f"{name}: {row.missing}" for name, row in results.items() if not row.rounds]
    middles = {row.label: middle(row.rounds) for row in results.values() if row.rounds}
    if not isinstance(experiment, Workload) or not middles:
        return missing
    bench = ", ".join(f"{label} {m.bench_us_per_token:.0f}" for label, m in middles.items())
    lines = [*missing, f"bench client + fake provider, CPU µs per token: {bench}"]
    if experiment.ramp_s:
        most = ", ".join(f"{label} {m.at_once:.0f}" for label, m in middles.items())
        lines.append(f"most replies at the same time: {most}")
    for label, figures in middles.items():
        if figures.accepted_p50 is not None:
            lines.append(f"{label}: sending accepted after {number(figures.accepted_p50)} ms p50")
        if len(figures.cpu_shares) > 1:
            shares = ", ".join(f"{part} {of:.0%}" for part, of in figures.cpu_shares.items())
            lines.append(f"{label}: of the CPU, {shares}")
    parley, tutorial = middles.get("parley"), middles.get("tutorial")
    if parley and tutorial and parley.cpu_s_per_1000 and tutorial.cpu_s_per_1000:
        lines.append(
            f"parley / tutorial: CPU {parley.cpu_s_per_1000 / tutorial.cpu_s_per_1000:.2f}, "
            f"token p50 {parley.token_p50 / tutorial.token_p50:.3f}, "
            f"p99 {parley.token_p99 / tutorial.token_p99:.3f}"
        )
    return lines


def machine() -> dict[str, str]:
    found = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "cpu": f"{os.cpu_count()} × {cpu_model()}",
        "load before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def as_json(
    experiments: list[Experiment], results: dict[str, Results], about: dict[str, str]
) -> dict[str, Any]:
    return {
        "machine": about,
        "workloads": [
            {
                **experiment.about(),
                "servers": {
                    server: {
                        "label": row.label,
                        "skipped": row.skipped,
                        "median": asdict(middle(row.rounds)) if row.rounds else None,
                        "rounds": [asdict(one) for one in row.rounds],
                    }
                    for server, row in results[experiment.name].items()
                },
            }
            for experiment in experiments
        ],
    }
