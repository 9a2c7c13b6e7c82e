"""The page and its commands over HTTP, with and without htmx."""

import json
import re
import uuid
from collections.abc import Callable

import pytest
from django.conf import LazySettings
from django.test import Client
from django.utils import timezone

from chat import access, actions, branches, services
from chat.models import Conversation, Generation, Message, State, User
from tests.talk import ask, end, talk

HTMX = {"HX-Request": "true"}


@pytest.fixture
def client(ada: User, sign_in: Callable[[User], Client]) -> Client:
    return sign_in(ada)


def composer(client: Client, path: str = "/") -> tuple[str, dict[str, str]]:
    """The action of the page's composer and its hidden fields."""
    page = client.get(path).content.decode()
    form = re.search(r'<form class="composer".*?</form>', page, re.DOTALL)
    assert form is not None
    action = re.search(r'action="([^"]+)"', form[0])
    assert action is not None
    hidden = re.findall(r'<input type="hidden" name="([^"]+)"[^>]*value="([^"]*)"', form[0])
    return action[1], dict(hidden)


def test_a_new_conversation_has_an_address_but_no_row(client: Client) -> None:
    page = client.get("/").content.decode()
    assert re.search(r'hx-ws:connect="/ws/c/[0-9a-f-]{36}/\?after=0&amp;new=', page)
    assert not Conversation.objects.exists()


def test_sending_answers_with_a_fresh_key(client: Client) -> None:
    action, fields = composer(client)
    answer = client.post(action, {**fields, "text": "Hello"}, headers=HTMX)
    assert answer.status_code == 200
    fresh = re.search(r'name="key" id="composer-key" value="(\w+)"', answer.content.decode())
    assert fresh is not None
    assert fresh[1] != fields["key"]
    assert Message.objects.get(role="user").text == "Hello"


def test_a_browser_without_scripts_is_led_to_the_conversation(client: Client) -> None:
    action, fields = composer(client)
    answer = client.post(action, {**fields, "text": "Hello"}, follow=True)
    assert answer.redirect_chain == [(action.replace("messages", ""), 302)]
    assert "Hello" in answer.content.decode()


def test_line_breaks_are_kept_as_they_were_typed(client: Client) -> None:
    action, fields = composer(client)
    client.post(action, {**fields, "text": "\r\n  one\r\n\r\n  two\r\n"}, headers=HTMX)
    assert Message.objects.get(role="user").text == "  one\n\n  two"


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "Write a message"), (" \n ", "Write a message"), ("x" * 101, "101 of at most 100")],
)
def test_a_bad_message_is_declined_with_a_reason_and_kept(
    client: Client, settings: LazySettings, text: str, says: str
) -> None:
    settings.MESSAGE_MAX_CHARS = 100
    action, fields = composer(client)
    answer = client.post(action, {**fields, "text": text}, headers=HTMX)
    assert answer.status_code == 422
    assert says in answer.content.decode()
    page = client.post(action, {**fields, "text": text})
    assert page.status_code == 422
    assert text.strip() in page.content.decode()
    assert not Message.objects.exists()


def test_a_message_declined_as_too_early_is_still_in_the_composer(client: Client) -> None:
    action, fields = composer(client)
    client.post(action, {**fields, "text": "First"}, headers=HTMX)
    answer = client.post(action, {**fields, "key": "another-key", "text": "Second"})
    assert answer.status_code == 409
    assert ">Second</textarea>" in answer.content.decode()


def test_a_key_that_is_none_is_declined(client: Client) -> None:
    action, fields = composer(client)
    answer = client.post(action, {**fields, "key": "<>", "text": "Hello"}, headers=HTMX)
    assert answer.status_code == 422
    assert not Message.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", "2.1"),
        ("temperature", "-0.1"),
        ("temperature", "nan"),
        ("top_p", "1.5"),
        ("max_tokens", "0"),
        ("max_tokens", "99999999"),
        ("model", "not-listed"),
    ],
)
def test_parameters_out_of_bounds_are_declined(client: Client, field: str, value: str) -> None:
    action, fields = composer(client)
    client.post(action, {**fields, "text": "Hello"}, headers=HTMX)
    path = action.replace("messages", "settings")
    answer = client.post(path, {field: value}, headers=HTMX)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.content.decode()


def test_parameters_go_into_the_next_request(client: Client, ada: User) -> None:
    action, fields = composer(client)
    settings_path = action.replace("messages", "settings")
    values = {"temperature": "0.3", "top_p": "0.9", "max_tokens": "77", "new": fields["new"]}
    assert client.post(settings_path, values, headers=HTMX).status_code == 200
    client.post(action, {**fields, "text": "Hello"}, headers=HTMX)
    parameters = Generation.objects.get().parameters
    assert parameters == {"temperature": 0.3, "top_p": 0.9, "max_tokens": 77}


def test_two_tabs_may_set_the_parameters_of_a_new_conversation_at_once(
    client: Client, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    action, fields = composer(client)
    values = {"temperature": "0.3", "new": fields["new"]}
    find = access.conversation_if_any

    def looks_before_the_other_writes(user_id: int, pk: uuid.UUID) -> None:
        monkeypatch.setattr(access, "conversation_if_any", find)
        Conversation.objects.create(id=pk, owner=ada, active_at=timezone.now(), top_p=0.5)

    monkeypatch.setattr(access, "conversation_if_any", looks_before_the_other_writes)
    answer = client.post(action.replace("messages", "settings"), values, headers=HTMX)
    assert answer.status_code == 200
    assert Conversation.objects.get().temperature == 0.3


def test_a_message_is_declined_by_the_process_that_would_have_to_answer_it_and_drains(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    action, fields = composer(client)
    monkeypatch.setattr(services, "is_draining", lambda: True)
    monkeypatch.setattr(services, "_worker_here", lambda: object())
    assert client.post(action, {**fields, "text": "Hello"}, headers=HTMX).status_code == 503
    assert not Message.objects.exists()
    monkeypatch.setattr(services, "_worker_here", lambda: None)  # others will
    assert client.post(action, {**fields, "text": "Hello"}, headers=HTMX).status_code == 200


def test_a_conversation_without_messages_is_not_listed(client: Client) -> None:
    action, fields = composer(client)
    path = action.replace("messages", "settings")
    client.post(path, {"temperature": "1", "new": fields["new"]}, headers=HTMX)
    assert Conversation.objects.count() == 1
    assert "conversation-item" not in client.get("/").content.decode()


def test_renaming_and_deleting(client: Client, ada: User) -> None:
    conversation = uuid.uuid4()
    actions.send(ada, conversation, "Hello", "some-key", may_create=True)
    client.post(f"/c/{conversation}/rename", {"title": "<b>Mine</b>"}, headers=HTMX)
    assert "&lt;b&gt;Mine&lt;/b&gt;" in client.get("/").content.decode()
    assert client.post(f"/c/{conversation}/rename", {"title": ""}, headers=HTMX).status_code == 422
    assert client.post(f"/c/{conversation}/delete", headers=HTMX).status_code == 200
    assert client.get(f"/c/{conversation}/").status_code == 404


def test_the_export_has_every_message_with_what_is_known_of_it(client: Client, ada: User) -> None:
    conversation = uuid.uuid4()
    actions.send(ada, conversation, "Hello", "some-key", may_create=True)
    actions.stop(ada, conversation)
    export = json.loads(client.get(f"/c/{conversation}/export.json").content)
    asked, reply = export["messages"]
    assert (asked["role"], asked["text"]) == ("user", "Hello")
    assert (reply["state"], reply["stop_reason"]) == ("stopped", "user")
    for field in ("usage", "ttft", "verdict", "sha256", "tool_calls", "error", "model", "created"):
        assert field in reply


def test_the_json_export_has_every_branch_with_parents_and_head(client: Client, ada: User) -> None:
    conversation, asked, cut = talk(ada, "Half an ans", state=State.STOPPED)
    branches.continue_reply(ada, conversation, cut.pk)
    rest = end(conversation, "wer.")
    edited = branches.edit(ada, conversation, asked.pk, "Good morning?", "edit-key").message
    answer = end(conversation, "Good morning.")
    export = json.loads(client.get(f"/c/{conversation}/export.json").content)
    assert [(m["id"], m["parent"], m["text"]) for m in export["messages"]] == [
        (asked.pk, None, "Hello?"),
        (cut.pk, asked.pk, "Half an ans"),
        (rest.pk, cut.pk, "wer."),
        (edited.pk, None, "Good morning?"),
        (answer.pk, edited.pk, "Good morning."),
    ]
    assert export["head"] == answer.pk
    assert [m["state"] for m in export["messages"]][1:3] == ["stopped", "complete"]


def test_the_markdown_export_has_the_branch_on_screen_first(client: Client, ada: User) -> None:
    conversation, _, cut = talk(ada, "Half an ans", state=State.STOPPED)
    branches.continue_reply(ada, conversation, cut.pk)
    end(conversation, "wer.")
    ask(ada, "And then?", conversation)
    end(conversation, "Nothing.")
    branches.regenerate(ada, conversation, cut.pk)
    end(conversation, "A whole answer.")
    text = client.get(f"/c/{conversation}/export.md").content.decode()
    lines = ["Hello?", "A whole answer.", "# Another branch", "Half an ans", "wer.", "Nothing."]
    assert [line for line in text.splitlines() if line in lines] == lines
    assert "version 2 of 2" in text
    assert "version 1 of 2, stopped" in text
    assert "continued" in text
    assert "it follows what user said at" in text


def test_an_export_shows_no_more_of_another_branch_than_the_page_would(
    client: Client, ada: User
) -> None:
    conversation, _, old = talk(ada, "Something bad.")
    Message.objects.filter(pk=old.pk).update(withheld_at=old.created_at)
    branches.regenerate(ada, conversation, old.pk)
    end(conversation, "Something good.")
    text = client.get(f"/c/{conversation}/export.md").content.decode()
    assert "Something bad." not in text
    assert "withheld" in text
    assert "Something bad." not in client.get(f"/c/{conversation}/export.json").content.decode()


def test_every_page_has_the_strict_policy(client: Client) -> None:
    for path in ("/", "/accounts/login/", "/admin/", "/nothing-here", "/healthz"):
        policy = client.get(path)["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


def test_the_health_pages_say_what_they_know(db: None) -> None:
    assert Client().get("/healthz").status_code == 200
    ready = Client().get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["checks"] == {"database": "ok", "serving": "ok", "model": "ready"}


def test_a_request_id_is_taken_over_only_when_it_is_a_plain_word(db: None) -> None:
    assert Client().get("/healthz", headers={"X-Request-ID": "abc-12345"})["X-Request-ID"] == (
        "abc-12345"
    )
    forged = Client().get("/healthz", headers={"X-Request-ID": "a b\u00e9<>" * 3})["X-Request-ID"]
    assert re.fullmatch(r"[0-9a-f]{16}", forged)
