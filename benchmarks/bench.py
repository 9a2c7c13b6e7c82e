"""`python -m benchmarks.bench`: every server under every workload, side by side in one run."""

import argparse
import asyncio
import json
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

from . import report
from .measure import wait_until_quiet
from .servers import SERVERS, NotRunningError, Workspace, provider
from .workloads import QUICK, WORKLOADS, Workload, run


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench", description=__doc__)
    names = [workload.name for workload in WORKLOADS]
    parser.add_argument("--quick", action="store_true", help="short workloads, one round")
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=str(names))
    parser.add_argument("--servers", default=",".join(SERVERS), help="default: %(default)s")
    parser.add_argument("--rounds", type=int, help="of each workload, servers in turn")
    parser.add_argument("--ramp", type=float, metavar="S", help="spread the users' starts")
    parser.add_argument("--paragraph", type=int, metavar="N", help="tokens in one; 0: endless")
    parser.add_argument(
        "--quiet-wait", type=float, default=20, metavar="S", help="for a quiet machine, each time"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    return parser.parse_args()


def chosen(given: argparse.Namespace) -> list[Workload]:
    changes = {"rounds": given.rounds, "ramp_s": given.ramp, "paragraph": given.paragraph}
    changes = {name: value for name, value in changes.items() if value is not None}
    return [
        replace(workload, **changes)
        for workload in (QUICK if given.quick else WORKLOADS)
        if not given.only or workload.name in given.only
    ]


def measure(
    work: Workspace,
    workload: Workload,
    servers: list[str],
    provider_pid: int,
    quiet_wait_s: float,
) -> report.Results:
    """Rounds outside, servers inside: what disturbs the machine for a while disturbs them all."""
    results: report.Results = {server: [] for server in servers}
    for number in range(workload.rounds):
        for server in servers:
            print(f"… {workload.name}, round {number + 1}, {server}", file=sys.stderr, flush=True)
            try:
                with SERVERS[server](work) as running:
                    wait_until_quiet(quiet_wait_s)
                    figures, recordings = asyncio.run(run(workload, running, provider_pid))
            except (NotRunningError, LookupError, OSError) as error:
                print(f"{server} did not run: {error}", file=sys.stderr)
                continue
            results[server].append(figures)
            for problem, count in Counter(r.problem for r in recordings if r.problem).items():
                print(f"{server}: {count} × {problem}", file=sys.stderr)
    return results


def main() -> int:
    given = arguments()
    servers, workloads = given.servers.split(","), chosen(given)
    about, results = report.machine(), {}
    print(", ".join(f"{name} {value}" for name, value in about.items()), end="\n\n")
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as directory:
        work = Workspace(Path(directory))
        with provider(work) as provider_pid:
            for workload in workloads:
                results[workload.name] = measure(
                    work, workload, servers, provider_pid, given.quiet_wait
                )
                print(report.text_table(workload, results[workload.name]), flush=True)
    if given.markdown:
        tables = [report.markdown_table(workload, results[workload.name]) for workload in workloads]
        given.markdown.write_text("\n".join(tables))
    if given.json:
        given.json.write_text(json.dumps(report.as_json(workloads, results, about), indent=1))
    whole = all(
        len(rounds) == workload.rounds and not any(r.lost + r.misstored + r.failed for r in rounds)
        for workload in workloads
        for rounds in results[workload.name].values()
    )
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
