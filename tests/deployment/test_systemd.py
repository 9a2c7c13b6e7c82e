"""The example units: their commands are commands, and they leave the time to drain."""

import configparser
import shlex
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import load_command_class

UNITS = sorted((Path(__file__).resolve().parents[2] / "deploy/systemd").glob("*.service"))


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_runs_a_command_and_lets_it_drain(path: Path) -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment]
    unit.read(path)
    service = unit["Service"]
    _, script, verb, *arguments = shlex.split(service["ExecStart"].replace("%i", "8001"))
    assert script == "manage.py"
    load_command_class("chat", verb).create_parser("manage.py", verb).parse_args(arguments)
    assert int(service["TimeoutStopSec"]) >= settings.DRAIN_TIMEOUT + 10
    assert service["User"] == "parley"


def test_there_is_a_unit_for_each_kind_of_process() -> None:
    assert [path.name for path in UNITS] == ["parley-engine@.service", "parley-web@.service"]
