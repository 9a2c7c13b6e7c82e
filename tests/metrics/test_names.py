"""The names stand in one module; what is written elsewhere about them is true."""

import re
from pathlib import Path

import pytest

from chat.metrics import names

ROOT = Path(__file__).resolve().parents[2]
METRICS = [one for one in vars(names).values() if isinstance(one, names.Metric)]
COUNTERS = {
    *(names.REPLIES, names.TITLES, names.MODERATIONS, names.ENDED_EARLY, names.ERRORS),
    *(names.CALLS, names.TOKENS_IN, names.TOKENS_OUT, names.COST),
}


def exposed(metric: names.Metric) -> set[str]:
    """As Prometheus has it."""
    if metric in COUNTERS:
        return {f"{metric.name}_total"}
    if metric.bounds:
        return {metric.name, *(f"{metric.name}_{part}" for part in ("bucket", "sum", "count"))}
    return {f"{metric.name}_info"} if metric is names.INFO else {metric.name}


ALL = set().union(*map(exposed, METRICS))


@pytest.mark.parametrize("path", ["docs/metrics.md", "deploy/prometheus/alerts.yml"])
def test_what_is_named_elsewhere_exists(path: str) -> None:
    found = set(re.findall(r"\bparley_\w+", (ROOT / path).read_text()))
    assert found
    assert found <= ALL


def test_every_metric_is_in_the_documentation() -> None:
    text = (ROOT / "docs/metrics.md").read_text()
    assert not [metric.name for metric in METRICS if not any(n in text for n in exposed(metric))]


def test_the_labels_of_the_alerts_exist() -> None:
    text = (ROOT / "deploy/prometheus/alerts.yml").read_text()
    labels = {label for metric in METRICS for label in metric.labels}
    used = set(re.findall(r'[{,]\s*(\w+)(?:=~?)"', text))
    assert used
    assert used <= labels
