"""Policy and rules are edited with care, and tried out before they hold."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from chat.models import Message, ModerationRule, PolicyRule, Verdict
from tests.admin.pages import html_of, list_url, page_url
from tests.fake_provider import FakeProvider

ADD = "admin:chat_moderationrule_add"
TRY = "admin:chat_moderationrule_try"
RULE = {
    "name": "Code names",
    "kind": "term",
    "pattern": "badger",
    "category": "codename",
    "direction": "",
    "score": "1",
    "enabled": "on",
}


def add(client: Client, **changed: str) -> Any:
    return client.post(reverse(ADD), RULE | changed)


def test_a_rule_is_saved_with_who_changed_it(root: Client) -> None:
    assert add(root).status_code == 302
    rule = ModerationRule.objects.get()
    assert (rule.pattern, rule.category, rule.enabled) == ("badger", "codename", True)
    assert rule.changed_by is not None
    assert rule.changed_by.username == "root"
    assert LogEntry.objects.filter(object_id=str(rule.pk)).count() == 1


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"kind": "pattern", "pattern": "(unclosed"}, "The expression cannot be used: missing )"),
        ({"kind": "pattern", "pattern": r"(a)\1"}, "invalid escape sequence"),
        ({"kind": "pattern", "pattern": "(?=a)"}, "invalid perl operator"),
        ({"kind": "pattern", "pattern": "a*"}, "matches an empty text"),
        ({"kind": "pattern", "pattern": "a" * 1_001}, "at most 1000 characters"),
        ({"kind": "pattern", "pattern": " "}, "Write a regular expression."),
        ({"pattern": ""}, "Write at least one word."),
        ({"pattern": "fine\n" + "x" * 201}, "Line 2 is longer than 200 characters."),
        ({"pattern": "x\n" * 10_001}, "longer than 20000 characters"),
        ({"kind": "personal", "pattern": "email\nshoe size"}, "no such kind: shoe size"),
        ({"kind": "secret", "pattern": "rumours"}, "no such kind: rumours"),
        ({"category": "Two words"}, "A category is small letters"),
        ({"score": "1.5"}, "less than or equal to 1"),
        ({"score": "0"}, "greater than or equal to"),
        ({"name": ""}, "This field is required."),
    ],
)
def test_what_cannot_be_applied_is_refused_with_a_reason_and_kept_in_the_form(
    root: Client, changed: dict[str, str], complaint: str
) -> None:
    response = add(root, **changed)
    assert complaint in html_of(response)
    form = response.context["adminform"].form
    assert form["pattern"].value() == (RULE | changed)["pattern"]
    assert not ModerationRule.objects.exists()


def test_a_rule_is_tried_on_its_form_before_it_is_saved(root: Client) -> None:
    text = "A b\u0430dger <b>here</b>."
    tried = add(root, **{"try-text": text, "try-direction": "output", "_try": "Try"})
    html = html_of(tried)
    assert '<mark title="codename">b\u0430dger</mark>' in html
    assert "&lt;b&gt;here&lt;/b&gt;" in html
    assert tried.context["tried"].action == "withhold"
    assert tried.context["adminform"].form["pattern"].value() == "badger"
    assert tried.context["box"]["text"].value() == text
    assert not ModerationRule.objects.exists()
    assert not LogEntry.objects.exists()
    assert not Verdict.objects.exists()
    assert not Message.objects.exists()


def test_a_form_that_could_not_be_saved_is_not_tried(root: Client) -> None:
    tried = add(root, pattern="", **{"try-text": "x", "try-direction": "input", "_try": "Try"})
    html = html_of(tried)
    assert "Write at least one word." in html
    assert "as it is, it could not be saved" in html


def test_what_is_saved_may_be_tried_with_changes_and_stays_as_it_is(root: Client) -> None:
    add(root)
    rule = ModerationRule.objects.get()
    changed = RULE | {"pattern": "otter", "enabled": ""}
    box = {"try-text": "badger otter", "try-direction": "input", "_try": "Try"}
    tried = root.post(page_url(rule), changed | box)
    (said,) = [said for said in tried.context["tried"].said if said.backend == "rules"]
    assert said.passages == (("badger ", ""), ("otter", "codename"))
    rule.refresh_from_db()
    assert rule.pattern == "badger"


def test_the_list_tries_what_holds(root: Client) -> None:
    assert reverse(TRY) in html_of(root.get(list_url("moderationrule")))
    add(root)
    PolicyRule.objects.create(direction="input", category="codename", action="stop")
    box = {"try-text": "my badger", "try-direction": "input", "_try": "Try"}
    tried = root.post(reverse(TRY), box).context["tried"]
    assert tried.action == "stop"
    assert [said.backend for said in tried.said] == ["local", "rules"]


def test_a_policy_is_tried_before_it_is_saved(root: Client) -> None:
    line = {"direction": "output", "category": "", "action": "flag", "threshold": ""}
    box = {"try-text": "You piece of shit.", "try-direction": "output", "_try": "Try"}
    page = reverse("admin:chat_policyrule_add")
    assert root.post(page, line | box).context["tried"].action == "flag"
    assert not PolicyRule.objects.exists()
    assert root.post(page, line).status_code == 302
    assert PolicyRule.objects.get().threshold is None


@pytest.mark.parametrize(
    "changed",
    [{"threshold": "2"}, {"threshold": "x"}, {"category": "no, no"}, {"action": "shout"}],
)
def test_a_policy_that_makes_no_sense_is_refused(root: Client, changed: dict[str, str]) -> None:
    line = {"direction": "output", "category": "", "action": "flag", "threshold": ""} | changed
    assert root.post(reverse("admin:chat_policyrule_add"), line).status_code == 200
    assert not PolicyRule.objects.exists()


def test_two_rules_for_one_category_are_refused(root: Client) -> None:
    line = {"direction": "output", "category": "hate", "action": "flag", "threshold": ""}
    page = reverse("admin:chat_policyrule_add")
    assert root.post(page, line).status_code == 302
    assert "already exists" in html_of(root.post(page, line))


def test_a_remote_backend_is_asked_only_when_its_button_is_pressed(
    root: Client, provider: FakeProvider, settings: Any, transactional_db: None
) -> None:
    settings.MODERATION_BACKENDS = ["local", "openai"]
    box = {"try-text": "flagme", "try-direction": "output"}
    root.post(reverse(TRY), box | {"_try": "Try"})
    assert provider.requests == []
    tried = root.post(reverse(TRY), box | {"_try_remote": "Try"}).context["tried"]
    assert [request.kind for request in provider.requests] == ["moderations"]
    assert (tried.action, tried.said[1].scores[0][0]) == ("withhold", "violence")


def test_a_remote_backend_that_is_down_says_so(root: Client, settings: Any) -> None:
    settings.MODERATION_BACKENDS = ["openai"]
    settings.OPENAI_BASE_URL = "http://127.0.0.1:9/v1"
    box = {"try-text": "x", "try-direction": "output", "_try_remote": "Try"}
    assert "No verdict: unreachable" in html_of(root.post(reverse(TRY), box))


@pytest.mark.parametrize("text", ["", "x" * 50_001])
def test_a_text_that_cannot_be_tried_is_refused(root: Client, text: str) -> None:
    box = {"try-text": text, "try-direction": "output", "_try": "Try"}
    response = root.post(reverse(TRY), box)
    assert response.context["box"].errors["text"]
    assert "tried" not in response.context


def test_who_may_only_look_may_try_what_holds_and_change_nothing(
    staff_with: Callable[..., Client],
) -> None:
    client = staff_with("view_moderationrule")
    box = {"try-text": "x", "try-direction": "output", "_try": "Try"}
    assert client.post(reverse(TRY), box).status_code == 200
    assert add(client, **box).status_code == 403
    assert add(client).status_code == 403
    assert client.post(reverse("admin:chat_policyrule_try"), box).status_code == 403


def test_who_has_no_permission_sees_nothing(staff_with: Callable[..., Client]) -> None:
    client = staff_with()
    assert client.get(reverse(TRY)).status_code == 403
    assert client.get(list_url("moderationrule")).status_code == 403
