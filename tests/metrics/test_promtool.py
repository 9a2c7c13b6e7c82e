"""Prometheus' own tool reads what Parley tells it, and the alerts are raised when they should."""

import subprocess
from pathlib import Path

import pytest
from django.test import Client

from chat.metrics import collector, totals
from chat.models import User
from tests.parts.programs import need

from .test_exposition import spent

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"


def promtool(*arguments: object, given: bytes = b"") -> str:
    """What it says; fails when it objects to anything."""
    command = [need("prometheus", "promtool"), *map(str, arguments)]
    done = subprocess.run(command, input=given, capture_output=True)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, said
    return said


def test_it_objects_to_no_metric(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "LEDGER", totals.Ledger())
    times = {f"ttft_{one}_ms": 300 for one in ("provider", "served", "perceived")}
    spent(ada, cost=1, tokens_per_second=30, inter_token_p95_ms=20, **times)
    spent(ada, state="stopped", stop_reason="user", error_kind='odd "kind"\n\\', model="a\\b\n☃")
    spent(ada, purpose="title", transport="")
    spent(ada, purpose="moderation", transport="")
    assert promtool("check", "metrics", given=Client().get("/metrics").content) == ""


def test_the_alerts_are_rules() -> None:
    assert "7 rules found" in promtool("check", "rules", RULES)


def test_each_alert_is_raised_when_it_should_be_and_not_before() -> None:
    tests = Path(__file__).with_name("alerts.yml")
    promtool("test", "rules", tests)
    named = {line.split()[-1] for line in RULES.read_text().splitlines() if "- alert:" in line}
    raised = tests.read_text().split("exp_alerts")
    for name in named:
        assert any(f"alertname: {name}\n" in part for part in raised[:-1]), name
