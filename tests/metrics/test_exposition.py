"""What Prometheus reads, by its own parser."""

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from chat.metrics import collector, names, state, totals
from chat.models import ReviewItem, State, Usage, User, VerdictState
from tests.admin.rows import judge, make_conversation, reply, say

Scrape = Callable[[], dict[str, list[Sample]]]


@pytest.fixture(autouse=True)
def _anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has just started."""
    restart(monkeypatch)


def restart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "LEDGER", totals.Ledger())
    monkeypatch.setattr(state, "VERDICTS", state.Verdicts())


@pytest.fixture
def scrape(db: None) -> Scrape:
    def get() -> dict[str, list[Sample]]:
        answer = Client().get("/metrics")
        assert answer.status_code == 200
        assert answer["Content-Type"].startswith("text/plain; version=")
        families = text_string_to_metric_families(answer.content.decode())
        found: dict[str, list[Sample]] = {}
        for family in families:
            for sample in family.samples:
                found.setdefault(sample.name, []).append(sample)
        return found

    return get


_numbers = iter(range(1, 10**9))


def spent(user: User, ago: timedelta = timedelta(), **fields: Any) -> Usage:
    fields = {
        "purpose": "reply",
        "model": "m",
        "transport": "websocket",
        "state": "complete",
        "calls": 1,
        "prompt_tokens": 100,
        "completion_tokens": 10,
        **fields,
    }
    return Usage.objects.create(
        generation_id=next(_numbers), user=user, ended_at=timezone.now() - ago, **fields
    )


def value(found: dict[str, list[Sample]], name: str, **labels: str) -> float:
    return sum(s.value for s in found.get(name, []) if labels.items() <= s.labels.items())


def test_counters_are_the_ledgers(ada: User, scrape: Scrape) -> None:
    spent(ada, cost=Decimal("0.25"))
    spent(ada, state="stopped", stop_reason="user", transport="sse")
    spent(ada, state="failed", error_kind="timeout", transport="", calls=3)
    spent(ada, purpose="title", transport="")
    judged = {"purpose": "moderation", "model": "judge-1", "transport": "", "prompt_tokens": 0}
    spent(ada, **judged, calls=2, cost=Decimal("0.5"), completion_tokens=7)
    found = scrape()
    assert value(found, "parley_replies_total") == 3
    assert value(found, "parley_replies_total", state="complete", transport="websocket") == 1
    assert value(found, "parley_replies_total", state="failed", transport="none") == 1
    assert value(found, "parley_titles_total", state="complete") == 1
    assert value(found, "parley_replies_ended_early_total", reason="user") == 1
    assert value(found, "parley_reply_errors_total", kind="timeout") == 1
    assert value(found, "parley_provider_calls_total", purpose="reply") == 5
    assert value(found, "parley_prompt_tokens_total") == 400
    assert value(found, "parley_completion_tokens_total", purpose="title") == 10
    assert value(found, "parley_cost_total", currency="USD", purpose="reply") == 0.25
    judge_1 = {"model": "judge-1", "purpose": "moderation"}
    assert value(found, "parley_moderations_total", model="judge-1", state="complete") == 1
    assert value(found, "parley_provider_calls_total", **judge_1) == 2
    assert value(found, "parley_completion_tokens_total", **judge_1) == 7
    assert value(found, "parley_cost_total", **judge_1) == 0.5


def test_histograms_are_cumulative_and_in_seconds(ada: User, scrape: Scrape) -> None:
    for ms in (90, 100, 1_400, 999_999):
        spent(ada, ttft_served_ms=ms, tokens_per_second=30.0)
    spent(ada, purpose="title", ttft_served_ms=50)  # nobody waits for it
    found = scrape()
    name = "parley_ttft_served_seconds"
    counts = {s.labels["le"]: s.value for s in found[f"{name}_bucket"]}
    assert (counts["0.1"], counts["1.0"], counts["1.5"], counts["60.0"]) == (2, 2, 3, 3)
    assert counts["+Inf"] == value(found, f"{name}_count") == 4
    assert value(found, f"{name}_sum") == pytest.approx(1001.589)
    assert list(counts.values()) == sorted(counts.values())
    assert value(found, "parley_reply_tokens_per_second_sum") == 120
    assert "parley_ttft_perceived_seconds_bucket" not in found


def test_counters_never_decrease_and_survive_purge_and_restart(
    ada: User, scrape: Scrape, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = reply(say(make_conversation(ada), "Hello?"), "An answer.")
    spent(ada, timedelta(days=3), ttft_served_ms=100)
    spent(ada, timedelta(minutes=5), ttft_served_ms=100)
    before = scrape()
    message.conversation.head = None
    message.conversation.save()
    message.conversation.generations.all().delete()
    after = scrape()
    restart(monkeypatch)
    for found in (after, scrape()):
        for name in ("parley_replies_total", "parley_ttft_served_seconds_count"):
            assert value(found, name) == value(before, name) == 2


def test_rows_that_come_later_are_counted_once_whatever_their_time(
    ada: User, scrape: Scrape
) -> None:
    spent(ada, timedelta(days=3))
    assert value(scrape(), "parley_replies_total") == 1
    # Swept up today, ended days ago; and its time may still come.
    late = spent(ada, timedelta(days=2))
    young = spent(ada, timedelta(minutes=1))
    assert value(scrape(), "parley_replies_total") == 3
    Usage.objects.filter(pk=young.pk).update(ttft_perceived_ms=10)
    assert late.pk < young.pk
    found = scrape()
    assert value(found, "parley_replies_total") == 3
    assert value(found, "parley_ttft_perceived_seconds_count") == 1


def test_what_is_settled_is_not_read_again(ada: User, scrape: Scrape) -> None:
    for _ in range(20):
        newest = spent(ada, timedelta(days=1))
    scrape()
    looked = []

    def look(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if 'FROM "chat_usage"' in sql:
            assert '"chat_usage"."id" > ' in sql
            looked.append(newest.pk in params)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(look):
        assert value(scrape(), "parley_replies_total") == 20
    assert looked
    assert all(looked)


def test_labels_are_few_and_hold_no_names_of_people(ada: User, scrape: Scrape) -> None:
    for number in range(totals.MODELS_MAX + 20):
        spent(ada, model=f"model-{number}")
    spent(ada, model='he"llo\\\n<b>')
    spent(ada, model="")
    found = scrape()
    models = {s.labels["model"] for s in found["parley_replies_total"]}
    assert len(models) == totals.MODELS_MAX + 1
    assert value(found, "parley_replies_total", model="other") == 22
    assert value(found, "parley_replies_total", model="model-0") == 1
    labels = json.dumps([s.labels for samples in found.values() for s in samples])
    assert ada.username not in labels


def test_gauges_of_what_waits(ada: User, scrape: Scrape) -> None:
    parent = say(make_conversation(ada), "Hello?")
    reply(parent, "An answer.", state=State.QUEUED)
    message = reply(say(make_conversation(ada), "Hello?"), "An answer.", receipt=False)
    judge(message, VerdictState.PENDING)
    ReviewItem.objects.create(message=message, state="escalated")
    found = scrape()
    assert value(found, "parley_generations", purpose="reply", state="queued") == 1
    assert value(found, "parley_generations", purpose="title", state="streaming") == 0
    assert value(found, "parley_unreconciled_replies") == 1
    assert value(found, "parley_verdicts_pending") == 1
    assert value(found, "parley_verdicts", state="pending", backend="local") == 1
    assert value(found, "parley_review_items", state="escalated") == 1
    assert value(found, "parley_review_items", state="open") == 0
    assert value(found, "parley_verdicts_pending_oldest_seconds") >= 0
    for name in ("parley_database_up", "parley_log_up"):
        assert value(found, name) == 1
    assert found["parley_build_info"][0].labels["version"]
    assert value(found, "process_cpu_seconds_total") > 0


def test_without_a_database_the_process_still_says_so(
    scrape: Scrape, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_args: Any) -> Any:
        raise OperationalError

    with connection.execute_wrapper(away):
        found = scrape()
    assert value(found, "parley_database_up") == 0
    assert value(found, "parley_open_pages") == 0
    assert "parley_replies_total" not in found


def test_every_metric_has_a_unit_in_order_and_a_help(scrape: Scrape, ada: User) -> None:
    spent(ada, ttft_provider_ms=1, ttft_served_ms=1, ttft_perceived_ms=1, tokens_per_second=1)
    metrics = [one for one in vars(names).values() if isinstance(one, names.Metric)]
    assert len({one.name for one in metrics}) == len(metrics)
    for one in metrics:
        assert one.name.startswith("parley_")
        assert one.help.endswith(".")
        assert list(one.bounds) == sorted(one.bounds)
    text = Client().get("/metrics").content.decode()
    for one in metrics:
        assert f"# HELP {one.name}" in text, one.name


def test_openmetrics_is_spoken_to_who_asks_for_it(db: None) -> None:
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    answer = Client().get("/metrics", headers=accept)
    assert answer["Content-Type"].startswith("application/openmetrics-text")
    assert answer.content.endswith(b"# EOF\n")


def test_the_currency_is_the_settings(ada: User, scrape: Scrape, settings: LazySettings) -> None:
    settings.PRICE_CURRENCY = "EUR"
    spent(ada, cost=Decimal(1))
    assert value(scrape(), "parley_cost_total", currency="EUR") == 1
