"""Assistants: who sees them, what is kept of them, and that a conversation runs with them."""

import json
import re
import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import Group, Permission
from django.test import Client

from chat import actions, assistants, branches, forms_assistants
from chat.forms_schema import MAX_BYTES
from chat.models import (
    Assistant,
    AssistantVersion,
    Conversation,
    Generation,
    Message,
    PolicyRule,
    User,
)
from tests.conftest import make_user
from tests.talk import end
from tests.test_views import HTMX, composer

SignIn = Callable[[User], Client]
NEW = "/assistants/new/"
READ = ["/assistants/{a}/", "/assistants/{a}/versions/1/"]
WRITE = ["/assistants/{a}/edit/", "/assistants/{a}/archive/"]
FORM = {"name": "Proofreader", "instructions": "Correct it.", "visibility": "private"}


@pytest.fixture
def crew(db: None) -> Group:
    return Group.objects.create(name="Crew")


@pytest.fixture
def cat(crew: Group) -> User:
    """In the crew, like Ada in tests that use it."""
    cat = make_user("cat")
    cat.groups.add(crew)
    return cat


@pytest.fixture
def client(ada: User, sign_in: SignIn) -> Client:
    return sign_in(ada)


def content(**fields: Any) -> AssistantVersion:
    return AssistantVersion(**{"name": "Proofreader", "instructions": "Correct it.", **fields})


def make(owner: User, visibility: str = "private", groups: Any = (), **fields: Any) -> Assistant:
    return assistants.create(owner, content(**fields), visibility, groups)


def begin(user: User, assistant: Assistant | None, text: str = "Hello?") -> Message:
    chosen = assistant.pk if assistant else None
    key = uuid.uuid4().hex
    return actions.send(user, uuid.uuid4(), text, key, may_create=True, assistant_id=chosen).message


# Who sees what


def seen(client: Client, assistant: Assistant) -> bool:
    """On its pages, in the list, in the picker; each says the same."""
    name = assistant.newest.name  # type: ignore[union-attr]
    answers = {client.get(path.format(a=assistant.pk)).status_code == 200 for path in READ}
    answers.add(client.get(f"/?assistant={assistant.pk}").status_code == 200)
    answers.add(name in client.get("/assistants/").content.decode())
    answers.add(name in client.get("/").content.decode())
    assert len(answers) == 1, answers
    return answers.pop()


def test_a_private_one_is_its_owners(ada: User, bob: User, admin: User, sign_in: SignIn) -> None:
    assistant = make(ada, name="Mine alone")
    assert seen(sign_in(ada), assistant)
    assert not seen(sign_in(bob), assistant)
    assert not seen(sign_in(admin), assistant)


def test_one_of_a_group_is_its_members_until_they_leave(
    ada: User, bob: User, cat: User, crew: Group, sign_in: SignIn
) -> None:
    assistant = make(ada, "groups", [crew], name="For the crew")
    assert seen(sign_in(cat), assistant)
    assert not seen(sign_in(bob), assistant)
    cat.groups.clear()
    assert not seen(sign_in(cat), assistant)


def test_one_for_everyone_is_everyones(ada: User, bob: User, sign_in: SignIn) -> None:
    assert seen(sign_in(bob), make(ada, "everyone", name="For all"))


@pytest.mark.parametrize("pattern", READ + WRITE)
def test_a_stranger_sees_what_he_would_see_of_nothing(
    pattern: str, ada: User, bob: User, sign_in: SignIn
) -> None:
    assistant = make(ada)
    theirs = sign_in(bob).get(pattern.format(a=assistant.pk))
    nobodys = sign_in(bob).get(pattern.format(a=10**30))
    assert theirs.status_code == nobodys.status_code == 404
    assert theirs.content == nobodys.content


@pytest.mark.parametrize("pattern", [*READ, *WRITE, "/assistants/", NEW])
def test_the_anonymous_are_asked_to_sign_in(pattern: str, ada: User) -> None:
    url = pattern.format(a=make(ada, "everyone").pk)
    for answer in (Client().get(url), Client().post(url, FORM)):
        if answer.status_code != 405:
            assert answer.status_code == 302
            assert answer["Location"].startswith("/accounts/login/")
    assert AssistantVersion.objects.count() == 1


@pytest.mark.parametrize("pattern", WRITE)
def test_only_the_owner_changes_it(
    pattern: str, ada: User, cat: User, admin: User, crew: Group, sign_in: SignIn
) -> None:
    for assistant in (make(ada, "groups", [crew]), make(ada, "everyone")):
        url = pattern.format(a=assistant.pk)
        assert sign_in(ada).get(url).status_code == 200
        for other in (cat, admin):
            assert sign_in(other).get(url).status_code == 404
            assert sign_in(other).post(url, FORM).status_code == 404
            page = sign_in(other).get("/assistants/").content.decode()
            assert url not in page
        assistant.refresh_from_db()
        assert assistant.archived_at is None
    assert AssistantVersion.objects.count() == 2


@pytest.mark.parametrize("pattern", [*WRITE, NEW])
def test_a_form_without_its_token_is_refused(pattern: str, ada: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada)
    assert client.post(pattern.format(a=make(ada).pk), FORM).status_code == 403


# Making and changing


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


# What is refused


def refused(client: Client, **values: Any) -> str:
    answer = client.post(NEW, {**FORM, **values})
    assert answer.status_code == 422
    assert not Assistant.objects.exists()
    return answer.content.decode()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 81),
        ("description", "x" * 301),
        ("instructions", "x" * 101),
        ("temperature", "2.1"),
        ("temperature", "nan"),
        ("top_p", "1.5"),
        ("max_tokens", "0"),
        ("max_tokens", "99999999"),
        ("model", "not-listed"),
        ("visibility", ""),
        ("visibility", "nobody"),
        ("tools", "no-such-tool"),
        ("tool_choice", "sometimes"),
        ("response_schema", "{"),
    ],
)
def test_what_is_out_of_bounds_is_refused_and_everything_typed_survives(
    client: Client, settings: LazySettings, field: str, value: str
) -> None:
    settings.MESSAGE_MAX_CHARS = 100
    typed = {
        "name": "My name",
        "description": "My description",
        "instructions": "My instructions",
        "temperature": "0.25",
        "top_p": "0.75",
        "max_tokens": "123",
        "response_schema": "my schema",
    }
    page = refused(client, **{**typed, field: value})
    assert 'role="alert"' in page
    for name, text in typed.items():
        if name != field:
            assert text in page, name


def test_making_one_for_everyone_needs_the_permission(
    client: Client, ada: User, sign_in: SignIn
) -> None:
    assert b'value="everyone"' not in client.get(NEW).content
    refused(client, visibility="everyone")
    mine = make(ada)
    client.post(f"/assistants/{mine.pk}/edit/", {**FORM, "visibility": "everyone"})
    mine.refresh_from_db()
    assert mine.visibility == "private"
    assistants.archive(ada, mine.pk)
    ada.user_permissions.add(Permission.objects.get(codename="change_assistant"))
    client = sign_in(User.objects.get(pk=ada.pk))
    assert b'value="everyone"' in client.get(NEW).content
    assert client.post(NEW, {**FORM, "visibility": "everyone"}).status_code == 302
    assert Assistant.objects.present().get().visibility == "everyone"


def test_a_group_has_to_be_chosen_and_to_be_ones_own(client: Client, ada: User) -> None:
    crew, others = Group.objects.create(name="Crew"), Group.objects.create(name="Others")
    assert b'value="groups"' not in client.get(NEW).content  # she is in none
    refused(client, visibility="groups", groups=[crew.pk])
    ada.groups.add(crew)
    assert "Others" not in client.get(NEW).content.decode()
    assert "Choose at least one group." in refused(client, visibility="groups")
    refused(client, visibility="groups", groups=[others.pk])
    refused(client, visibility="groups", groups=[crew.pk, others.pk])
    assert (
        client.post(NEW, {**FORM, "visibility": "groups", "groups": [crew.pk]}).status_code == 302
    )
    assert list(Assistant.objects.get().groups.all()) == [crew]


def test_groups_count_only_for_what_is_shown_to_groups(client: Client, ada: User) -> None:
    crew = Group.objects.create(name="Crew")
    ada.groups.add(crew)
    client.post(NEW, {**FORM, "groups": [crew.pk]})
    assert not Assistant.objects.get().groups.exists()


SCHEMAS = {
    '{"type": "object",\n "x": }': "line 2, column 7",
    "[]": "a JSON object",
    '"text"': "a JSON object",
    '{"type": "array"}': "has to be an object",
    '{"properties": {}}': "has to be an object",
    '{"type": "object", "properties": {"a": {"type": "strin"}}}': "properties.a.type",
    '{"type": "object", "required": "a"}': "required",
    '{"type": "object", "$schema": "http://json-schema.org/draft-07/schema#"}': "2020-12",
    '{"type": "object", "$ref": "https://example.org/x"}': "into the schema itself",
    '{"type": "object", "items": {"$ref": "other.json#/a"}}': "into the schema itself",
    '{"type": "object", "items": {"$dynamicRef": "//example.org"}}': "into the schema itself",
    '{"type": "object", "$ref": "#/$defs/no"}': "points to nothing",
    '{"type": "object", "minimum": NaN}': "NaN",
    '{"type": "object", "minimum": 1e999}': "too large",
    '{"type": "object", "title": "\\u0000"}': "cannot be kept",
    '{"type": "object", "title": "\\ud800"}': "cannot be kept",
    '{"type": "object", "enum": [' + "[" * 70 + "]" * 70 + "]}": "Nested too deeply",
    "[" * 10_000: "Not usable as JSON",
    '{"type": "object", "title": "' + "x" * MAX_BYTES + '"}': "at most 20 KB",
}


@pytest.mark.parametrize("schema", SCHEMAS, ids=SCHEMAS.values())
def test_a_schema_that_is_none_is_refused_with_the_reason(client: Client, schema: str) -> None:
    assert SCHEMAS[schema] in refused(client, response_schema=schema).replace("&#x27;", "'")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "$schema": "https://json-schema.org/draft/2020-12/schema"},
        {"type": "object", "items": {"$ref": "#/$defs/a"}, "$defs": {"a": {"type": "string"}}},
        {"type": "object", "items": {"$ref": "#here"}, "$defs": {"a": {"$anchor": "here"}}},
        {"type": "object", "properties": {"child": {"$ref": "#"}}},
        {"type": "object", "title": "naïve 漢字 😀"},
    ],
)
def test_a_schema_is_kept_as_it_is(client: Client, schema: Any) -> None:
    client.post(NEW, {**FORM, "response_schema": json.dumps(schema)})
    assert AssistantVersion.objects.get().response_schema == schema


# Tools


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    found = {
        "clock": SimpleNamespace(
            name="clock", title="Clock", description="Says what time it is.", asks_first=False
        ),
        "fetch": SimpleNamespace(
            name="fetch", title="Fetch a page", description="Reads the web.", asks_first=True
        ),
    }
    monkeypatch.setattr(forms_assistants, "tools_to_choose", lambda: found)
    return found


def ticked(page: bytes) -> list[tuple[str, str]]:
    return re.findall(
        r'<input type="checkbox" name="(tools|approvals)" value="(\w+)"[^>]* checked>',
        page.decode(),
    )


def test_the_tools_of_this_installation_can_be_chosen(client: Client) -> None:
    assert b"Calculator" in client.get(NEW).content
    client.post(NEW, {**FORM, "tools": ["calculator"]})
    assert AssistantVersion.objects.get().tools == ["calculator"]


def test_tools_are_ticked_and_may_ask_first(client: Client, tools: dict[str, Any]) -> None:
    page = client.get(NEW).content
    assert b"Says what time it is." in page
    assert re.search(rb'value="auto"[^>]* checked', page)
    assert ticked(page) == [("approvals", "fetch")]  # as the tool has it
    values = {
        **FORM,
        "tools": ["fetch", "clock"],
        "approvals": ["clock"],
        "tool_choice": "required",
    }
    client.post(NEW, values)
    version = AssistantVersion.objects.get()
    assert (version.tools, version.approvals) == (["clock", "fetch"], ["clock"])
    assert version.tool_choice == "required"
    edit = f"/assistants/{version.assistant_id}/edit/"
    assert ticked(client.get(edit).content) == [
        ("tools", "clock"),
        ("approvals", "clock"),
        ("tools", "fetch"),
    ]
    refused_page = client.post(edit, {**values, "name": ""}).content
    assert ticked(refused_page) == ticked(client.get(edit).content)
    client.post(edit, {**values, "tools": ["clock", "fetch"]})
    assert AssistantVersion.objects.count() == 1
    assert b"Clock, Fetch a page" in client.get(f"/assistants/{version.assistant_id}/").content


def test_without_tools_there_is_nothing_to_ask_or_to_insist_on(
    client: Client, tools: dict[str, Any]
) -> None:
    client.post(NEW, {**FORM, "approvals": ["clock"], "tool_choice": "required"})
    version = AssistantVersion.objects.get()
    assert (version.tools, version.approvals, version.tool_choice) == ([], [], "auto")


def test_a_tool_that_is_away_is_kept_until_it_is_unticked(
    client: Client, ada: User, tools: dict[str, Any]
) -> None:
    assistant = make(ada, tools=["gone"], approvals=["gone"])
    edit = f"/assistants/{assistant.pk}/edit/"
    assert ("tools", "gone") in ticked(client.get(edit).content)
    client.post(edit, {**FORM, "tools": ["gone"], "approvals": ["gone"]})
    assert AssistantVersion.objects.count() == 1
    client.post(edit, FORM)
    assert AssistantVersion.objects.get(number=2).tools == []
    assert client.post(edit, {**FORM, "tools": ["gone"]}).status_code == 422


# Conversations


def test_the_picker_names_those_that_the_user_sees(client: Client, ada: User, bob: User) -> None:
    mine, theirs = make(ada, name="My own"), make(bob, name="Bob's secret")
    page = client.get("/").content.decode()
    assert f'href="/?assistant={mine.pk}"' in page
    assert f"assistant={theirs.pk}" not in page
    assert "secret" not in page
    assert 'name="assistant"' not in page


def test_the_choice_goes_with_the_first_message(client: Client, ada: User) -> None:
    assistant = make(ada, description="Finds mistakes.", model="small", temperature=0.1)
    page = client.get(f"/?assistant={assistant.pk}").content.decode()
    assert "<h2>Proofreader</h2>" in page
    assert "Finds mistakes." in page
    action, fields = composer(client, f"/?assistant={assistant.pk}")
    assert client.post(action, {**fields, "text": "Hello"}, headers=HTMX).status_code == 200
    assert Conversation.objects.get().assistant == assistant
    generation = Generation.objects.get()
    assert generation.assistant == assistant.newest
    assert (generation.model, generation.parameters) == ("small", {"temperature": 0.1})
    page = client.get(action.removesuffix("messages")).content.decode()
    assert f'class="head-assistant" href="/assistants/{assistant.pk}/"' in page
    assert 'id="picker"' not in page


def test_it_works_without_scripts(client: Client, ada: User) -> None:
    assistant = make(ada)
    action, fields = composer(client, f"/?assistant={assistant.pk}")
    page = client.post(action, {**fields, "text": " "}).content.decode()
    assert f'name="assistant" value="{assistant.pk}"' in page  # also after a refusal
    client.post(action, {**fields, "text": "Hello"}, follow=True)
    assert Generation.objects.get().assistant == assistant.newest


@pytest.mark.parametrize("wanted", ["other", "archived", "missing", "word", "huge"])
def test_one_that_is_not_visible_cannot_be_used(
    wanted: str, client: Client, ada: User, bob: User
) -> None:
    archived = make(ada)
    assistants.archive(ada, archived.pk)
    ids = {"other": make(bob).pk, "archived": archived.pk, "missing": 999, "word": "x"}
    chosen = ids.get(wanted, 10**30)
    assert client.get("/", {"assistant": chosen}).status_code == 404
    action, fields = composer(client)
    sent = {**fields, "text": "Hello", "assistant": chosen}
    answer = client.post(action, sent, headers=HTMX)
    assert answer.status_code in (409, 422)
    page = client.post(action, sent)  # without scripts: the page again, with what was typed
    assert page.status_code == answer.status_code
    assert ">Hello</textarea>" in page.content.decode()
    assert 'name="assistant"' not in page.content.decode()
    assert not Conversation.objects.exists()


def test_nobody_learns_which_ones_there_are(client: Client, bob: User) -> None:
    action, fields = composer(client)
    said = {
        client.post(action, {**fields, "text": "Hi", "assistant": pk}, headers=HTMX).content
        for pk in (make(bob).pk, 999)
    }
    assert len(said) == 1


def test_later_messages_do_not_change_the_assistant(client: Client, ada: User) -> None:
    assistant, other = make(ada), make(ada, name="Other")
    asked = begin(ada, assistant)
    end(asked.conversation_id)
    url = f"/c/{asked.conversation_id}/"
    sent = {"text": "More", "key": uuid.uuid4().hex, "assistant": other.pk}
    assert client.post(url + "messages", sent, headers=HTMX).status_code == 200
    assert Conversation.objects.get().assistant == assistant
    assert client.get(f"{url}?assistant={other.pk}").context["assistant"] == assistant.newest
    assert {g.assistant for g in Generation.objects.all()} == {assistant.newest}


def test_parameters_set_before_the_first_message_keep_the_choice(client: Client, ada: User) -> None:
    assistant = make(ada, model="small", temperature=0.1, top_p=0.5)
    page = client.get(f"/?assistant={assistant.pk}").content.decode()
    settings = re.search(r'hx-get="(/c/[^"]+settings[^"]*)"', page)
    assert settings is not None
    dialog = client.get(settings[1].replace("&amp;", "&"), headers=HTMX).content.decode()
    assert "Default (small)" in dialog
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', dialog))
    assert hidden["assistant"] == str(assistant.pk)
    url = settings[1].split("?")[0]
    client.post(url, {**hidden, "temperature": "0.9"}, headers=HTMX)
    empty = url.removesuffix("settings")
    assert client.get(empty).context["assistant"] == assistant.newest
    assert client.get(empty + "?assistant=").context.get("assistant") is None
    action, fields = composer(client, empty)
    client.post(action, {**fields, "text": "Hello"}, headers=HTMX)
    generation = Generation.objects.get()
    assert generation.assistant == assistant.newest
    assert generation.parameters == {"temperature": 0.9, "top_p": 0.5}


def test_a_conversation_goes_on_with_the_newest_version(ada: User) -> None:
    assistant = make(ada)
    asked = begin(ada, assistant)
    end(asked.conversation_id, "One.")
    assistants.save(ada, assistant.pk, content(instructions="Other."), "private")
    branches.regenerate(ada, asked.conversation_id, asked.children.get().pk)
    versions = Generation.objects.order_by("pk").values_list("assistant__number", flat=True)
    assert list(versions) == [1, 2]


@pytest.mark.parametrize("how", ["left", "archived", "private"])
def test_out_of_sight_a_conversation_goes_on_with_the_version_of_its_last_reply(
    how: str, ada: User, cat: User, crew: Group, sign_in: SignIn
) -> None:
    assistant = make(ada, "groups", [crew])
    asked = begin(cat, assistant)
    end(asked.conversation_id, "One.")
    assistants.save(ada, assistant.pk, content(instructions="Secret."), "groups", [crew])
    if how == "left":
        cat.groups.clear()
    elif how == "archived":
        assistants.archive(ada, assistant.pk)
    else:
        assistants.save(ada, assistant.pk, content(instructions="Secret."), "private")
    key = uuid.uuid4().hex
    actions.send(cat, asked.conversation_id, "And?", key, may_create=False)
    versions = Generation.objects.values_list("assistant__number", flat=True)
    assert list(versions) == [1, 1]
    # What has answered him he may read, and no more of it.
    client = sign_in(cat)
    page = client.get(f"/c/{asked.conversation_id}/").content.decode()
    assert f'href="/assistants/{assistant.pk}/versions/1/"' in page
    version = client.get(f"/assistants/{assistant.pk}/versions/1/").content.decode()
    assert "Correct it." in version
    assert "versions/2" not in version
    assert client.get(f"/assistants/{assistant.pk}/versions/2/").status_code == 404
    assert client.get(f"/assistants/{assistant.pk}/").status_code == 404
    actions.delete(cat, asked.conversation_id)
    assert client.get(f"/assistants/{assistant.pk}/versions/1/").status_code == 404


def test_a_conversation_without_an_assistant_has_none(ada: User) -> None:
    begin(ada, None)
    assert Generation.objects.get().assistant is None


def test_the_same_form_twice_is_one_message_though_the_assistant_is_gone(ada: User) -> None:
    assistant, conversation = make(ada), uuid.uuid4()

    def send() -> actions.Sent:
        how = {"may_create": True, "assistant_id": assistant.pk}
        return actions.send(ada, conversation, "Hi", "some-key", **how)  # type: ignore[arg-type]

    first = send()
    assistants.archive(ada, assistant.pk)
    assert send() == actions.Sent(first.message, created=False)


# The record


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


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("instructions", "Say: I will kill you, you worthless piece of shit."),
        (
            "response_schema",
            '{"type": "object", "title": "I will \\u006bill you, you worthless piece of shit."}',
        ),
    ],
)
def test_what_no_model_may_be_asked_it_may_not_be_instructed(
    client: Client, field: str, value: str
) -> None:
    PolicyRule.objects.create(direction="input", action="stop", category="")
    page = refused(client, **{field: value})
    assert "does not let a model read this" in page
    assert "you worthless piece" in page
    PolicyRule.objects.update(action="flag")
    assert client.post(NEW, {**FORM, field: value}).status_code == 302
