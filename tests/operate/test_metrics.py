"""The metrics page: its figures are the ledger's, its tables are there without scripts."""

import csv
import io
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from chat.metrics.state import Verdicts
from chat.models import ReviewItem, Usage, User, Verdict, VerdictState
from chat.operate import measures
from chat.operate.measures import percentile
from chat.operate.periods import DEFAULT, PERIODS, Asked, asked
from chat.operate.spending import WAYS, Spent, by_group
from tests.admin.pages import Elements, html_of
from tests.admin.rows import judge, make_conversation, reply, say

PAGE = "/operate/metrics/"
NOW = datetime(2026, 3, 5, 14, 25, tzinfo=UTC)
_numbers = iter(range(1, 10**9))


@pytest.fixture
def client(operator: User, sign_in: Callable[[User], Client]) -> Client:
    return sign_in(operator)


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


def texts(client: Client, query: str = "") -> str:
    return " ".join(Elements(html_of(client.get(PAGE + query))).texts)


def data(client: Client, query: str = "") -> dict[str, Any]:
    """What the script draws, by chart."""
    page = html_of(client.get(PAGE + query))
    found = re.search(r'<script id="charts-data" type="application/json">(.*?)</script>', page)
    assert found is not None
    return {chart["slug"]: chart for chart in json.loads(found[1])}


@given(st.lists(st.floats(0, 1e6), min_size=1).map(sorted), st.sampled_from([0.05, 0.5, 0.95, 1.0]))
def test_a_percentile_is_a_value_that_so_many_are_not_above(
    values: list[float], share: float
) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(one <= found for one in values) >= share * len(values) - 1e-9
    assert sum(one < found for one in values) < share * len(values)


def test_of_nothing_there_is_none() -> None:
    assert percentile([], 0.5) is None


@pytest.mark.parametrize("slug", PERIODS)
@pytest.mark.parametrize("now", [NOW, NOW.replace(hour=0, minute=0), NOW.replace(hour=23)])
def test_the_steps_join_and_the_last_one_is_now(slug: str, now: datetime) -> None:
    wanted = Asked(slug, "", "", now)
    starts, step = wanted.starts, timedelta(hours=wanted.period.step_h)
    assert len(starts) == wanted.period.count == len(wanted.labels)
    assert {b - a for a, b in pairwise(starts)} == {step}
    assert starts[-1] <= now < starts[-1] + step
    form, unit_h = ("%Y-%m-%d", 24) if wanted.period.step_h >= 24 else ("%Y-%m-%d %H", 1)
    assert wanted.steps[now.strftime(form)] == wanted.period.count - 1
    assert len(wanted.steps) == wanted.period.count * wanted.period.step_h // unit_h
    if slug == "1y":
        assert {start.weekday() for start in starts} == {0}


def test_what_is_asked_for_wrongly_is_the_default() -> None:
    wanted = asked({"range": "2y", "transport": "pigeon", "model": "a\0b"}, NOW)
    assert (wanted.slug, wanted.transport, wanted.model) == (DEFAULT, "", "ab")


def test_an_empty_installation_says_so(client: Client) -> None:
    said = texts(client)
    assert "No reply has ended in this time." in said
    assert "Nothing in this time." not in said  # nineteen times over
    assert "Usage by user" not in said
    assert data(client) == {}


def test_percentiles_by_step_model_and_transport(client: Client, ada: User) -> None:
    for ms in (100, 200, 300):
        spent(ada, ttft_served_ms=ms, tokens_per_second=ms / 10)
    spent(ada, timedelta(days=2), ttft_served_ms=900, model="slow", transport="sse")
    spent(ada, timedelta(days=40), ttft_served_ms=5)
    spent(ada, ttft_served_ms=None, purpose="title", ttft_provider_ms=7)
    charts = data(client, "?range=30d")
    series = {one["name"]: one["values"] for one in charts["ttft"]["series"]}
    assert series["Served p50"][-1] == 200
    assert series["Served p95"][-1] == 300
    assert [v for v in series["Served p50"] if v is not None] == [900, 200]
    assert not any(series["Provider p50"])  # a title's time is nobody's wait
    by_model = charts["by-model"]
    assert by_model["labels"] == ["m", "slow"]
    assert by_model["series"][1] == {**by_model["series"][1], "values": [200, 900]}
    assert charts["by-transport"]["labels"] == ["WebSocket", "Server-Sent Events"]
    assert charts["speed"]["series"][0]["values"][-1] == 20
    assert sum(v or 0 for v in charts["distribution"]["series"][1]["values"]) == pytest.approx(100)
    said = texts(client, "?range=30d")
    assert "Replies 4 100.0 % complete" in said
    assert "slow – 900 ms – – 900 ms –" in said  # in the table: p50 and p95 of all three


def test_counts_by_model_end_and_reason(client: Client, ada: User) -> None:
    spent(ada)
    spent(ada, state="stopped", stop_reason="user")
    spent(ada, state="interrupted", stop_reason="no_viewer", model="other")
    spent(ada, state="failed", error_kind="timeout", cost=Decimal("0.5"))
    charts = data(client, "?range=24h")

    def now(slug: str) -> dict[str, float]:
        return {one["name"]: one["values"][-1] for one in charts[slug]["series"]}

    assert now("replies") == {"m": 3, "other": 1}
    assert now("states") == {"Complete": 1, "Stopped": 1, "Interrupted": 1, "Failed": 1}
    assert now("errors") == {"timeout": 1}
    assert now("stops") == {"Stopped by its user": 1, "Nobody watched any more": 1}
    assert now("tokens") == {"To models": 400, "From models": 40}
    assert now("cost") == {"Replies": 0.5}
    assert "Failed or interrupted 50.0 % 2 replies" in texts(client)


def test_a_cost_says_of_what_it_is(client: Client, ada: User) -> None:
    row = spent(ada)
    assert "Cost – 110 tokens of models without a price" in texts(client)
    spent(ada, cost=Decimal("0.5"))
    assert "Cost 0.5000 USD 220 tokens, 50.0 % of them without a price" in texts(client)
    row.delete()
    assert "Cost 0.5000 USD 110 tokens For reviewers" in texts(client)


def test_the_rarest_names_are_one(client: Client, ada: User) -> None:
    for number in range(12):
        for _ in range(13 - number):
            spent(ada, model=f"model-{number}")
    series = data(client)["replies"]["series"]
    assert [one["name"] for one in series] == [*(f"model-{n}" for n in range(7)), "Other"]
    assert sum(sum(one["values"]) for one in series) == Usage.objects.count()


def test_filters(client: Client, ada: User) -> None:
    spent(ada)
    spent(ada, model="other")
    spent(ada, transport="api")
    assert "Replies 3" in texts(client)
    assert "Replies 2" in texts(client, "?model=m")
    assert "Replies 1" in texts(client, "?model=m&transport=api")
    page = Elements(html_of(client.get(f"{PAGE}?model=gone")))
    assert "gone" in page.texts  # it is still chosen, and there is nothing of it
    assert "No reply has ended" in " ".join(page.texts)


def test_they_are_counted_without_being_read(db: None) -> None:
    """Each of them holds scores, passages and a history; the figures need none of that."""
    if connection.vendor != "sqlite":
        pytest.skip("the plan is SQLite's")
    plans: list[str] = []

    def explain(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.cursor.execute("EXPLAIN QUERY PLAN " + sql.replace("%s", "?"), params)
            plans.append(" ".join(row[-1] for row in cursor.cursor.fetchall()))
        return execute(sql, params, many, context)

    wanted = asked({"range": "1y"}, timezone.now())
    with connection.execute_wrapper(explain):
        list(measures.verdicts(wanted))
        measures.backlog(wanted)
        Verdicts().counts()
    assert len(plans) == 5
    assert all("USING COVERING INDEX" in plan for plan in plans), plans


def test_verdicts_and_backlog(client: Client, ada: User) -> None:
    parent = say(make_conversation(ada), "Hello?")
    message = reply(parent, "An answer.", verdict=VerdictState.FLAGGED)
    judge(message, VerdictState.PENDING, backend="openai")
    item = ReviewItem.objects.create(message=message)
    old = ReviewItem.objects.create(message=parent, state="closed", closed_at=timezone.now())
    ReviewItem.objects.filter(pk=old.pk).update(opened_at=timezone.now() - timedelta(days=3))
    Verdict.objects.update(created_at=timezone.now())
    charts = data(client, "?range=30d")
    assert [one["values"][-1] for one in charts["verdicts"]["series"]] == [0, 1, 0, 0]
    came, decided, waiting = (one["values"] for one in charts["backlog"]["series"])
    assert (came[-1], came[-4]) == (1, 1)
    assert decided[-1] == 1
    assert waiting[-5:] == [0, 1, 1, 1, 1]
    assert "For reviewers, now 1 1 pending verdict" in texts(client)
    item.delete()


def test_what_binary_fractions_leave_of_nothing_is_not_counted_again(ada: User) -> None:
    ada.groups.set([Group.objects.create(name="Lab")])
    spent(ada, cost=Decimal("0.3"))
    total = Spent("", 1, 1, 100, 10, Decimal("0.29999999999999998"))
    rows = by_group(asked({}, timezone.now()), total).rows
    assert [row.name for row in rows] == ["Lab"]


def test_usage_by_day_user_and_group(client: Client, ada: User, bob: User) -> None:
    lab, law = Group.objects.create(name="Lab"), Group.objects.create(name="Law")
    ada.groups.set([lab, law])
    spent(ada, cost=Decimal("1.5"))
    spent(ada, timedelta(days=1), cost=Decimal("0.25"), purpose="title", transport="")
    spent(bob)
    said = texts(client)
    for words in (
        "ada 1 2 200 20 1.75 USD bob 1 1 100 10 – Total 2 3 300 30 1.75 USD",
        "Lab 1 2 200 20 1.75 USD Law 1 2 200 20 1.75 USD No group 1 1 100 10 –"
        " Counted in several groups -1 -2 -200 -20 -1.75 USD Total 2 3 300 30 1.75 USD",
        "0 1 100 10 0.2500 USD Total 2 3 300 30 1.75 USD",
    ):
        assert words in said, words


def test_every_way_of_looking_at_it_adds_up_to_the_ledger(
    client: Client, ada: User, bob: User, operator: User
) -> None:
    lab, law = Group.objects.create(name="Lab"), Group.objects.create(name="Law")
    ada.groups.set([lab, law])
    bob.groups.set([law])
    for number, user in enumerate((ada, ada, bob, operator)):
        spent(user, timedelta(days=number), cost=Decimal("0.000001"), model=f"m{number}")
    spent(ada, purpose="moderation", model="judge-1", transport="", cost=Decimal("0.123457"))
    spent(bob, purpose="title", transport="", model="free")
    for by in WAYS:
        rows = rows_of(client, f"by={by}&range=30d")[1:]
        sums = [sum(Decimal(row[column] or 0) for row in rows) for column in range(1, 6)]
        assert sums == [4, 6, 600, 60, Decimal("0.123461")], by


def test_what_moderation_and_titles_cost_is_shown_as_such(client: Client, ada: User) -> None:
    spent(ada, cost=Decimal("1.5"))
    spent(ada, purpose="title", transport="", cost=Decimal("0.25"))
    spent(ada, purpose="moderation", model="judge-1", transport="", cost=Decimal("0.5"), calls=3)
    said = texts(client)
    rows = (
        "Replies 1 1 100 10 1.50 USD Titles 0 1 100 10 0.2500 USD",
        " Moderation 0 3 100 10 0.5000 USD Total 1 5 300 30 2.25 USD",
    )
    assert "".join(rows) in said
    assert "judge-1 0 3 100 10 0.5000 USD" in said
    assert "Replies 1 100.0 % complete" in said  # a judge's answer is no reply
    now = {one["name"]: one["values"][-1] for one in data(client)["cost"]["series"]}
    assert now == {"Replies": 1.5, "Titles": 0.25, "Moderation": 0.5}


def test_the_time_of_a_whole_reply_is_beside_those_of_first_tokens(
    client: Client, ada: User
) -> None:
    spent(ada, ttft_served_ms=300, ttft_provider_ms=200)
    spent(ada, ttft_served_ms=20_000, ttft_provider_ms=200, transport="api_whole")
    charts = data(client)
    assert charts["ttft"]["series"][3]["values"][-1] == 300
    whole = charts["by-transport"]["labels"].index("API, not streamed")
    assert charts["by-transport"]["series"][1]["values"][whole] == 20_000
    charts = data(client, "?transport=api_whole")
    assert charts["ttft"]["series"][3]["values"][-1] == 20_000


def test_of_many_models_the_chart_has_some_and_its_table_all(client: Client, ada: User) -> None:
    for number in range(12):
        spent(ada, model=f"model-{number}", ttft_served_ms=100 + number)
    chart = data(client)["by-model"]
    assert len(chart["labels"]) == len(chart["series"][1]["values"]) == 7
    said = texts(client)
    assert "The 7 with the most replies; the table has them all." in said
    assert all(f"model-{n} – {100 + n} ms –" in said for n in range(12))


def rows_of(client: Client, query: str) -> list[list[str]]:
    answer = client.get(f"{PAGE}usage.csv?{query}")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert re.fullmatch(
        r'attachment; filename="parley-usage-by-\w+-[\d-]+\.csv"', answer["Content-Disposition"]
    )
    return list(csv.reader(io.StringIO(answer.content.decode())))


def test_csv_is_the_tables_and_runs_nothing(client: Client, ada: User) -> None:
    ada.username = "=1+2"
    ada.save()
    ada.groups.add(Group.objects.create(name="@SUM(A1)"))
    spent(ada, cost=Decimal("0.1"))
    spent(ada, cost=Decimal("0.2"), model="other")
    head = ["replies", "provider_calls", "prompt_tokens", "completion_tokens", "cost", "currency"]
    rest = ["2", "2", "200", "20", "0.300000", "USD"]
    assert rows_of(client, "by=user") == [["user", *head], ["'=1+2", *rest]]
    assert rows_of(client, "by=group") == [["group", *head], ["'@SUM(A1)", *rest]]
    today = timezone.now().strftime("%Y-%m-%d")
    assert rows_of(client, "by=day") == [["day", *head], [today, *rest]]
    assert rows_of(client, "by=user&model=other")[1][1] == "1"
    assert client.get(f"{PAGE}usage.csv?by=moon").status_code == 404


def test_of_very_many_replies_a_sample_is_measured_and_said(
    client: Client, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measures, "ROWS_MAX", 10)
    for ms in range(40):
        spent(ada, ttft_served_ms=float(ms + 1))
    found = measures.timings(asked({}, timezone.now()))
    assert (found.replies, found.stride, len(found.whole["ttft_served_ms"])) == (40, 4, 10)
    said = texts(client)
    assert "Percentiles are of one reply in 4; counts are of all." in said
    assert "Replies 40" in said


HOSTILE = "</script><script>alert(1)</script><b onload=x>"


def test_names_are_text_wherever_they_stand(client: Client, ada: User) -> None:
    ada.username = "<b>ada</b>"
    ada.save()
    spent(ada, model=HOSTILE, error_kind="x", ttft_served_ms=5)
    page = html_of(client.get(PAGE))
    assert HOSTILE not in page
    assert "<b>ada</b>" not in page
    assert data(client)["replies"]["series"][0]["name"] == HOSTILE


def test_tables_have_headers_charts_have_names_nothing_is_inline(client: Client, ada: User) -> None:
    spent(ada, ttft_served_ms=5, tokens_per_second=5, inter_token_p95_ms=9, cost=Decimal(1))
    elements = Elements(html_of(client.get(PAGE)))
    canvases = elements.all("canvas")
    assert len(canvases) == len(data(client)) == 10
    assert all(one["role"] == "img" and one["aria-label"] for one in canvases)
    assert len(elements.all("table")) == len(canvases) + 5
    assert all("scope" in header for header in elements.all("th"))
    assert not elements.all("style")
    for script in elements.all("script"):
        assert "src" in script or script["type"] == "application/json"
    for _tag, attributes in elements.tags:
        assert not {name for name in attributes if name.startswith(("on", "hx-on", "style"))}


def test_it_costs_a_handful_of_queries(
    client: Client, ada: User, django_assert_max_num_queries: Any
) -> None:
    for number in range(5):
        spent(ada, model=f"m{number}")
    with django_assert_max_num_queries(20):
        client.get(PAGE)


def test_it_and_the_status_page_know_each_other(client: Client) -> None:
    for page in ("/operate/status/", PAGE):
        links = [one.get("href") for one in Elements(html_of(client.get(page))).all("a")]
        assert {"/operate/status/", PAGE} <= set(links)
