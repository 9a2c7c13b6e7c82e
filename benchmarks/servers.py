"""The servers under test, and the fake provider that all of them ask."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from .clients import DirectUser, TutorialUser
from .deployments import many, single
from .processes import Running, Workspace, answers, child, free_port


@contextmanager
def provider(work: Workspace) -> Iterator[int]:
    """The fake provider; yields its pid."""
    work.provider_port = free_port()
    command = ["-m", "tests.fake_provider", "--port", str(work.provider_port)]
    address = f"http://127.0.0.1:{work.provider_port}/v1/models"
    with child(work, "provider", command, os.environ.copy(), answers(address)) as pid:
        yield pid


@contextmanager
def direct(work: Workspace) -> Iterator[Running]:
    yield Running({}, lambda _: DirectUser(work.provider_port))


@contextmanager
def tutorial(work: Workspace) -> Iterator[Running]:
    port = free_port()
    app = "benchmarks.tutorial_server:app"
    command = ["-m", "uvicorn", app, "--port", str(port), "--workers", "1"]
    ready = answers(f"http://127.0.0.1:{port}/readyz")
    with child(work, "tutorial", command, work.environment(), ready) as pid:
        yield Running({"uvicorn": pid}, lambda _: TutorialUser(port))


# `parley` is `manage.py serve` alone, `parley-2+1` two of them with one `manage.py engine`.
SERVERS = {"direct": direct, "tutorial": tutorial, "parley": single, "parley-2+1": many}
