"""A conversation runs with the assistant that it began with."""

import re
import uuid

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from chat import actions, assistants, branches
from chat.models import Conversation, Generation, User
from tests.assistants.conftest import SignIn, begin, content, make
from tests.talk import end
from tests.test_views import HTMX, composer


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
