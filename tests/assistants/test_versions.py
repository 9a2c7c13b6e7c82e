"""Making one and changing it: every version stays as it was."""

import re

from django.contrib.auth.models import Group
from django.test import Client

from chat import assistants
from chat.models import Assistant, AssistantVersion, User
from tests.assistants.conftest import FORM, NEW, SignIn, content, make, seen


def test_one_is_made(client: Client, ada: User) -> None:
    values = {
        **FORM,
        "description": "Finds what is wrong.",
        "instructions": "One.\r\nTwo.\r\n",
        "temperature": "0.2",
        "top_p": "0.9",
        "max_tokens": "500",
        "response_schema": '{"type": "object"}',
    }
    answer = client.post(NEW, values, follow=True)
    assistant = Assistant.objects.get()
    assert answer.redirect_chain == [(f"/assistants/{assistant.pk}/", 302)]
    version = assistant.newest
    assert version is not None
    assert (assistant.owner, assistant.visibility, version.number) == (ada, "private", 1)
    assert version.instructions == "One.\nTwo."
    assert version.given() == {"temperature": 0.2, "top_p": 0.9, "max_tokens": 500}
    assert version.response_schema == {"type": "object"}
    assert version.made_by == ada


def test_a_saved_change_is_a_new_version_and_the_old_one_stays(client: Client, ada: User) -> None:
    assistant = make(ada)
    before = AssistantVersion.objects.values().get()
    client.post(f"/assistants/{assistant.pk}/edit/", {**FORM, "instructions": "Praise it."})
    old, new = AssistantVersion.objects.order_by("number")
    assistant.refresh_from_db()
    assert assistant.newest == new
    assert (new.number, new.instructions) == (2, "Praise it.")
    assert AssistantVersion.objects.filter(pk=old.pk).values().get() == before


def test_saving_what_is_there_makes_no_version(client: Client, ada: User, crew: Group) -> None:
    ada.groups.add(crew)
    schema = {"type": "object", "properties": {"b": {"const": 1}, "a": {}}}
    assistant = make(ada, response_schema=schema, temperature=1, tools=[], model="kept")
    page = client.get(f"/assistants/{assistant.pk}/edit/").content.decode()
    shown = re.search(r'name="response_schema"[^>]*>\s*(.*?)</textarea>', page, re.DOTALL)
    assert shown is not None
    text = shown[1].replace("&quot;", '"')
    values = {**FORM, "temperature": "1", "model": "kept", "response_schema": text}
    client.post(f"/assistants/{assistant.pk}/edit/", values)
    assert AssistantVersion.objects.count() == 1
    # Who sees it is no part of a version.
    client.post(
        f"/assistants/{assistant.pk}/edit/",
        {**values, "visibility": "groups", "groups": [crew.pk]},
    )
    assistant.refresh_from_db()
    assert (assistant.visibility, list(assistant.groups.all())) == ("groups", [crew])
    assert AssistantVersion.objects.count() == 1
    # To Python, 1 and true are the same; to a schema they are not.
    changed = text.replace('"const": 1', '"const": true')
    client.post(f"/assistants/{assistant.pk}/edit/", {**values, "response_schema": changed})
    assert AssistantVersion.objects.count() == 2


def test_an_old_version_is_shown_as_it_was_with_what_changed(client: Client, ada: User) -> None:
    assistant = make(ada, instructions="Be kind.\nBe brief.\nBe clear.", temperature=0.5)
    changed = content(instructions="Be kind.\nBe long.\nBe clear.", temperature=0.7)
    assistants.save(ada, assistant.pk, changed, "private")
    first = client.get(f"/assistants/{assistant.pk}/versions/1/").content.decode()
    assert "Be brief." in first
    assert "Be long." not in first
    second = client.get(f"/assistants/{assistant.pk}/versions/2/").content.decode()
    assert "<del>Be brief.</del>" in second
    assert "<ins>Be long.</ins>" in second
    assert "<del>0.5</del>" in second
    assert "<ins>0.7</ins>" in second
    assert "<del>Be kind" not in second
    assert client.get(f"/assistants/{assistant.pk}/versions/3/").status_code == 404
    assert client.get(f"/assistants/{assistant.pk}/versions/{10**30}/").status_code == 404


def test_archiving_asks_first_and_takes_it_from_everybodys_sight(
    client: Client, ada: User, bob: User, sign_in: SignIn
) -> None:
    assistant = make(ada, "everyone")
    url = f"/assistants/{assistant.pk}/archive/"
    assert b"Archive the assistant?" in client.get(url).content
    assert client.post(url).status_code == 302
    assert not seen(sign_in(bob), assistant)
    # Its owner can still read what it was, and that is all.
    page = client.get(f"/assistants/{assistant.pk}/")
    assert b"Archived" in page.content
    assert b"/edit/" not in page.content
    assert client.get(f"/assistants/{assistant.pk}/edit/").status_code == 404
    assert client.get(f"/?assistant={assistant.pk}").status_code == 404
    assert AssistantVersion.objects.count() == 1


def test_the_administration_shows_every_version_and_changes_none(
    ada: User, admin: User, sign_in: SignIn
) -> None:
    assistant = make(ada, tools=["clock"], response_schema={"type": "object"}, temperature=0.5)
    assistants.save(ada, assistant.pk, content(name="Critic"), "private")
    client = sign_in(admin)
    url = f"/admin/chat/assistant/{assistant.pk}/change/"
    page = client.get(url).content.decode()
    for text in ("Proofreader", "Critic", "Correct it.", "clock", "temperature 0.5"):
        assert text in page
    assert 'name="_save"' not in page
    assert not re.search(r"<(textarea|select)", page)
    for term, found in (("proof", True), ("correct ada", True), ("nothing", False)):
        listed = client.get("/admin/chat/assistant/", {"q": term}).content.decode()
        assert (url in listed) is found
    for path in (url, url.replace("change", "delete"), "/admin/chat/assistant/add/"):
        assert client.post(path, {"post": "yes"}).status_code == 403
    assert AssistantVersion.objects.count() == 2
