"""The figures as tables: one for the terminal, the same as markdown, all of it as JSON."""

import math
import os
import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .measure import Figures
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
PACKAGES = ("django", "channels", "daphne", "openai", "fastapi", "uvicorn", "aiohttp", "httpx2")

Results = dict[str, list[Figures]]  # server → its rounds


def row(server: str, rounds: list[Figures]) -> list[str]:
    if not rounds:
        return [server, "did not run", *[""] * (len(COLUMNS) - 2)]
    figures = Figures.middle(rounds)
    wrong = (
        str(figures.lost),
        f"{figures.misstored} in transcript" if figures.misstored else "",
        f"{figures.failed} failed" if figures.failed else "",
    )
    return [
        server,
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


def number(ms: float) -> str:
    if math.isnan(ms):
        return "–"
    return f"{ms:.2f}" if ms < 10 else f"{ms:.1f}" if ms < 100 else f"{ms:,.0f}"


def text_table(workload: Workload, results: Results) -> str:
    rows = [list(COLUMNS), *(row(server, rounds) for server, rounds in results.items())]
    widths = [max(len(line[i]) for line in rows) for i in range(len(COLUMNS))]
    lines = [
        "  ".join(
            cell.ljust(width) if not i else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([heading(workload, results), "", *lines, *notes(results), ""])


def markdown_table(workload: Workload, results: Results) -> str:
    rows = [row(server, rounds) for server, rounds in results.items()]
    align = ["---", *["---:"] * (len(COLUMNS) - 1)]
    lines = ["| " + " | ".join(cells) + " |" for cells in (COLUMNS, align, *rows)]
    return "\n".join([f"**{heading(workload, results)}**", "", *lines, "", *notes(results), ""])


def heading(workload: Workload, results: Results) -> str:
    rounds = max((len(done) for done in results.values()), default=0)
    ramp = f", starts spread over {workload.ramp_s:g} s" if workload.ramp_s else ""
    median = f" (median of {rounds} rounds)" if rounds > 1 else ""
    return f"{workload.title}{ramp}{median}"


def notes(results: Results) -> list[str]:
    middles = {server: Figures.middle(rounds) for server, rounds in results.items() if rounds}
    bench = ", ".join(f"{s} {m.bench_us_per_token:.0f}" for s, m in middles.items())
    lines = [f"bench client + fake provider, CPU µs per token: {bench}"] if bench else []
    parley, tutorial = middles.get("parley"), middles.get("tutorial")
    if parley and parley.accepted_p50 is not None:
        lines.append(f"parley: sending accepted after {number(parley.accepted_p50)} ms p50")
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


def as_json(workloads: list[Workload], results: dict[str, Results], about: dict[str, str]) -> dict:
    return {
        "machine": about,
        "workloads": [
            {
                **asdict(workload),
                "servers": {
                    server: {
                        "median": asdict(Figures.middle(rounds)) if rounds else None,
                        "rounds": [asdict(one) for one in rounds],
                    }
                    for server, rounds in results[workload.name].items()
                },
            }
            for workload in workloads
        ],
    }
