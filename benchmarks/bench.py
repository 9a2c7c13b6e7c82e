"""`python -m benchmarks.bench`: every server under every workload, side by side in one run."""

import argparse
import asyncio
import json
import resource
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import fields, replace
from pathlib import Path

from . import report
from .experiments import BY_NAME_ONLY, FULL, QUICK, Experiment
from .processes import MissingProgramError, NotRunningError, Workspace
from .progress import say
from .servers import SERVERS, provider
from .usage import wait_until_quiet

OPEN_FILES = 8192  # a thousand pages have two connections each while they open


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench", description=__doc__)
    names = [experiment.name for experiment in FULL]
    parser.add_argument("--quick", action="store_true", help="short workloads, one round")
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=str(names))
    parser.add_argument("--servers", type=servers, help=f"of {', '.join(SERVERS)}")
    parser.add_argument("--rounds", type=int, help="of each workload, servers in turn")
    parser.add_argument("--ramp", type=float, metavar="S", help="spread the users' starts")
    parser.add_argument("--tokens", type=int, metavar="N", help="in each reply of the users")
    parser.add_argument("--paragraph", type=int, metavar="N", help="tokens in one; 0: endless")
    parser.add_argument(
        "--quiet-wait", type=float, default=20, metavar="S", help="for a quiet machine, each time"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    return parser.parse_args()


def servers(given: str) -> list[str]:
    chosen = given.split(",")
    if unknown := set(chosen) - SERVERS.keys():
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}")
    return chosen


def chosen(given: argparse.Namespace) -> list[Experiment]:
    all_of_them = QUICK if given.quick else FULL
    names = given.only or {one.name for one in all_of_them} - BY_NAME_ONLY
    return [changed(experiment, given) for experiment in all_of_them if experiment.name in names]


def changed(experiment: Experiment, given: argparse.Namespace) -> Experiment:
    """As the options want it; those that it does not know say nothing about it."""
    options = {
        "rounds": given.rounds,
        "ramp_s": given.ramp,
        "tokens": given.tokens,
        "paragraph": given.paragraph,
    }
    known = {field.name for field in fields(experiment)}
    changes = {k: value for k, value in options.items() if value is not None and k in known}
    return replace(experiment, **changes)


def servers_of(experiment: Experiment, given: argparse.Namespace) -> list[str]:
    """Those that were asked for, as far as it can be asked of them; or the usual ones."""
    if given.servers is None:
        return list(experiment.servers)
    return [name for name in given.servers if experiment.any_server or name.startswith("parley")]


def measure(
    work: Workspace,
    experiment: Experiment,
    names: list[str],
    provider_pid: int,
    quiet_wait_s: float,
) -> report.Results:
    """Rounds outside, servers inside: what disturbs the machine for a while disturbs them all."""
    results: report.Results = {name: report.Row() for name in names}
    for number in range(experiment.rounds):
        for name in names:
            say(f"{experiment.name}, round {number + 1}, {name}")
            try:
                with SERVERS[name](work) as running:
                    wait_until_quiet(quiet_wait_s)
                    figures, recordings = asyncio.run(experiment.run(running, provider_pid))
            except MissingProgramError as missing:
                results[name].skipped = f"needs the Debian package {missing}"
                continue
            except (NotRunningError, LookupError, OSError, AssertionError) as error:
                # The last is how tests.parts says that Redis or PostgreSQL did not start.
                print(f"{name} did not run: {error}", file=sys.stderr)
                continue
            results[name].rounds.append(figures)
            results[name].label = running.label or name
            for problem, count in Counter(r.problem for r in recordings if r.problem).items():
                print(f"{name}: {count} × {problem}", file=sys.stderr)
    return results


def is_whole(experiment: Experiment, results: report.Results) -> bool:
    """Did every server run, and was nothing lost?"""
    return all(
        row.skipped
        or (len(row.rounds) == experiment.rounds and not any(f.wrong for f in row.rounds))
        for row in results.values()
    )


def raise_file_limit() -> None:
    """The children inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main() -> int:
    given = arguments()
    experiments = chosen(given)
    about, results = report.machine(), {}
    raise_file_limit()
    print(", ".join(f"{name} {value}" for name, value in about.items()), end="\n\n")
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="parley-bench-"))
        users = max(experiment.users for experiment in experiments)
        work = Workspace(Path(directory), stack, users)
        provider_pid = stack.enter_context(provider(work))
        for experiment in experiments:
            names = servers_of(experiment, given)
            results[experiment.name] = measure(
                work, experiment, names, provider_pid, given.quiet_wait
            )
            print(report.text(experiment, results[experiment.name]), flush=True)
    if given.markdown:
        tables = [report.markdown(one, results[one.name]) for one in experiments]
        given.markdown.write_text("\n".join(tables))
    if given.json:
        given.json.write_text(json.dumps(report.as_json(experiments, results, about), indent=1))
    return 0 if all(is_whole(one, results[one.name]) for one in experiments) else 1


if __name__ == "__main__":
    sys.exit(main())
