"""Nobody changes the record here, whatever they may do elsewhere."""

from collections.abc import Callable

import pytest
from django.contrib import admin
from django.test import Client, RequestFactory
from django.urls import reverse

from chat.models import (
    AccessEntry,
    AccessKind,
    Conversation,
    Generation,
    Message,
    Receipt,
    User,
    Verdict,
)
from chat.record import access_log
from tests.admin.conftest import RECORDS, Story
from tests.admin.pages import Elements, html_of, list_url, page_url

MODELS = (Conversation, Message, Generation, Verdict, Receipt)


def records_of(story: Story) -> list[object]:
    generation = story.flagged.generation
    verdict = story.flagged.verdicts.first()
    return [story.conversation, story.flagged, generation, verdict, generation.receipt]


def test_a_superuser_reads_every_record(root: Client, story: Story) -> None:
    for obj in records_of(story):
        html_of(root.get(list_url(obj._meta.model_name)))
        html_of(root.get(page_url(obj)))


def test_what_a_superuser_sends_is_refused(root: Client, story: Story) -> None:
    for obj in records_of(story):
        before = type(obj).objects.filter(pk=obj.pk).values().get()
        name = obj._meta.model_name
        addresses = [
            page_url(obj),
            list_url(name),
            reverse(f"admin:chat_{name}_add"),
            reverse(f"admin:chat_{name}_delete", args=[obj.pk]),
        ]
        for url in addresses:
            sent = {"post": "yes", "action": "delete_selected", "_selected_action": obj.pk}
            assert root.post(url, sent).status_code == 403, url
        assert type(obj).objects.filter(pk=obj.pk).values().get() == before


@pytest.mark.parametrize("model", MODELS)
def test_there_is_no_action_and_no_permission_to_write(admin: User, model: type) -> None:
    request = RequestFactory().get("/admin/")
    request.user = admin
    model_admin = _site()._registry[model]
    assert model_admin.get_actions(request) == {}
    assert model_admin.get_model_perms(request) == {
        "add": False,
        "change": False,
        "delete": False,
        "view": True,
    }


def _site() -> admin.AdminSite:
    return admin.site


def test_no_page_of_the_record_has_a_field_or_a_button_that_writes(
    root: Client, story: Story
) -> None:
    for obj in records_of(story):
        page = Elements(html_of(root.get(page_url(obj))))
        named = {field.get("name") for field in page.all("input")} - {"csrfmiddlewaretoken", None}
        assert named == set()
        assert not [b for b in page.all("button") if (b.get("name") or "").startswith("_")]


@pytest.mark.parametrize("model", RECORDS)
def test_permission_to_change_or_delete_gives_no_more_than_reading(
    staff_with: Callable[..., Client], story: Story, model: str
) -> None:
    client = staff_with(f"change_{model}", f"add_{model}", f"delete_{model}")
    obj = next(obj for obj in records_of(story) if obj._meta.model_name == model)
    html_of(client.get(page_url(obj)))
    assert client.post(page_url(obj), {}).status_code == 403
    assert client.post(reverse(f"admin:chat_{model}_add"), {}).status_code == 403
    delete = reverse(f"admin:chat_{model}_delete", args=[obj.pk])
    assert client.post(delete, {"post": "yes"}).status_code == 403


def test_who_reads_is_on_record(root: Client, story: Story) -> None:
    for obj in records_of(story):
        root.get(page_url(obj))
        root.get(list_url(obj._meta.model_name))
    found = AccessEntry.objects.order_by("number").values_list("kind", "actor_name")
    assert list(found) == [(AccessKind.ADMIN, "root")] * 10
    assert AccessEntry.objects.get(number=1).conversation_id == story.conversation.pk


def test_a_search_is_on_record_with_what_it_showed_and_no_word_of_it(
    root: Client, story: Story
) -> None:
    root.get(list_url("message"), {"q": "friction"})
    detail = AccessEntry.objects.get().detail
    assert (detail["list"], detail["shown"]) == ("message", [str(story.first.pk)])
    assert detail["query"] == access_log.fingerprint("friction")
    assert "friction" not in str(detail)
    html_of(root.get(list_url("message"), {"q": "nothing like it"}))
    assert AccessEntry.objects.get(number=2).detail["shown"] == []


def test_there_is_no_way_around_the_record(root: Client, story: Story) -> None:
    """No search for a form's field, and no history, which would show titles."""
    query = {"term": "tides", "app_label": "chat", "model_name": "message"}
    found = root.get("/admin/autocomplete/", {**query, "field_name": "conversation"})
    assert found.status_code == 403
    for obj in records_of(story):
        assert root.get(page_url(obj).replace("/change/", "/history/")).status_code == 403


def test_an_entry_of_the_access_log_says_all_of_itself(root: Client, admin: User) -> None:
    entry = access_log.note(admin, AccessKind.ADMIN, purpose="For once", detail={"list": "x"})
    html = html_of(root.get(page_url(entry)))
    for said in ("Read a record in the administration", "For once", entry.hash, entry.previous):
        assert said in html
    assert f"{entry.at:%Y-%m-%d %H:%M:%S} UTC" in html
    assert "/history/" not in html
