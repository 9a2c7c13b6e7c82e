"""The buttons under messages over HTTP: which there are, what they answer, what they cost."""

import re
import uuid
from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chat import branches
from chat.models import (
    Action,
    Conversation,
    Generation,
    Message,
    State,
    User,
    VerdictState,
)
from tests.talk import ask, end, talk

HTMX = {"HX-Request": "true"}


@pytest.fixture
def client(ada: User, sign_in: Callable[[User], Client]) -> Client:
    return sign_in(ada)


def article(client: Client, message: Message) -> str:
    page = client.get(f"/c/{message.conversation_id}/").content.decode()
    found = re.search(rf'<article[^>]*id="message-{message.pk}".*?</article>', page, re.DOTALL)
    return found[0] if found else ""


def buttons(html: str) -> list[str]:
    """The names of the buttons in this part of a page."""
    found = re.findall(r"<button.*?</button>", html, re.DOTALL)
    return [re.sub(r"<[^>]*>", "", button).strip() for button in found]


def path(message: Message, command: str) -> str:
    return f"/c/{message.conversation_id}/messages/{message.pk}/{command}"


# Which buttons there are


OPINIONS = ("Good reply", "Bad reply", "Report")


@pytest.mark.parametrize(
    ("state", "finish", "text", "expected"),
    [
        (State.COMPLETE, "stop", "Hi.", ["Copy", "Regenerate", *OPINIONS]),
        (State.COMPLETE, "length", "Hi", ["Copy", "Regenerate", *OPINIONS, "Continue"]),
        (State.STOPPED, "", "Hi", ["Copy", "Regenerate", *OPINIONS, "Continue"]),
        (State.STOPPED, "", "", ["Regenerate"]),
        (State.INTERRUPTED, "", "Hi", ["Copy", "Regenerate", *OPINIONS, "Continue"]),
        (State.FAILED, "", "", ["Try again"]),
    ],
)
def test_what_can_be_done_with_a_reply(
    client: Client, ada: User, state: State, finish: str, text: str, expected: list[str]
) -> None:
    _, asked, reply = talk(ada, text, state=state, finish=finish)
    assert buttons(article(client, reply)) == expected
    assert buttons(article(client, asked)) == ["Copy", "Edit"]


def test_what_moderation_refused_is_edited_and_not_tried_again(client: Client, ada: User) -> None:
    _, asked, reply = talk(ada, "", state=State.FAILED)
    Generation.objects.filter(message=reply).update(error_kind="moderated", request_id="req-1")
    asked.verdicts.update(state=VerdictState.FLAGGED, action=Action.STOP)
    assert buttons(article(client, reply)) == []
    assert buttons(article(client, asked)) == ["Copy", "Edit"]
    assert "req-1" not in article(client, reply)
    asked.verdicts.update(state=VerdictState.OVERRIDDEN)
    assert buttons(article(client, reply)) == ["Try again"]


def test_nothing_can_be_done_with_a_reply_that_is_being_written(client: Client, ada: User) -> None:
    asked = ask(ada)
    assert buttons(article(client, asked.children.get())) == []


def test_of_a_withheld_reply_there_is_another_one_but_no_rest(client: Client, ada: User) -> None:
    _, _, reply = talk(ada, "Half", state=State.STOPPED)
    Message.objects.filter(pk=reply.pk).update(withheld_at=timezone.now())
    assert buttons(article(client, reply)) == ["Regenerate"]


def test_versions_are_counted_where_there_are_several(client: Client, ada: User) -> None:
    conversation, asked, old = talk(ada)
    branches.regenerate(ada, conversation, old.pk)
    new = end(conversation, "New.")
    html = article(client, new)
    assert 'role="group" aria-label="Version 2 of 2"' in html
    assert "<span>2 / 2</span>" in html
    assert buttons(html)[:2] == ["Previous version", "Next version"]
    assert re.findall(r'id="(\w+)-\d+" disabled', html) == ["next"]
    assert "Version" not in article(client, asked)
    branches.show(ada, conversation, old.pk)
    assert re.findall(r'id="(\w+)-\d+" disabled', article(client, old)) == ["previous"]
    assert article(client, new) == ""


def test_a_continuation_says_so(client: Client, ada: User) -> None:
    conversation, _, cut = talk(ada, "Half an ans", state=State.STOPPED)
    branches.continue_reply(ada, conversation, cut.pk)
    rest = end(conversation, "wer.")
    assert ">Parley, continued</h2>" in article(client, rest)
    assert 'aria-label="Parley"' in article(client, rest)
    assert ">Parley</h2>" in article(client, cut)


# What they answer


def test_the_form_of_an_edit_has_the_text_as_it_was_typed(client: Client, ada: User) -> None:
    _, asked, _ = talk(ada)
    Message.objects.filter(pk=asked.pk).update(text="  <b>one</b>\n\n</textarea>two")
    form = client.get(path(asked, "edit"), headers=HTMX).content.decode()
    assert ">\n  &lt;b&gt;one&lt;/b&gt;\n\n&lt;/textarea&gt;two</textarea>" in form
    assert "<html" not in form
    assert re.search(r'name="key" value="\w{32}"', form)
    assert "csrfmiddlewaretoken" in form
    assert buttons(form) == ["Cancel", "Save and send"]


def test_a_saved_edit_comes_by_socket_or_by_redirect(client: Client, ada: User) -> None:
    conversation, asked, _ = talk(ada)
    form = {"text": "Edited\r\ntwice", "key": "a-key-of-mine"}
    answer = client.post(path(asked, "edit"), form, headers=HTMX)
    assert (answer.status_code, answer.content) == (204, b"")
    answer = client.post(path(asked, "edit"), form)  # the same again
    assert answer.headers["Location"] == f"/c/{conversation}/"
    assert Message.objects.get(send_key="a-key-of-mine").text == "Edited\ntwice"
    assert Message.objects.filter(role="user").count() == 2


@pytest.mark.parametrize(
    ("text", "status", "says"),
    [(" ", 422, "Write a message"), ("x" * 40_000, 422, "Too long"), ("Fine", 409, "still being")],
)
def test_an_edit_that_is_declined_says_so_in_its_form_and_keeps_the_text(
    client: Client, ada: User, text: str, status: int, says: str
) -> None:
    conversation, asked, old = talk(ada)
    if status == 409:
        branches.regenerate(ada, conversation, old.pk)
    form = {"text": text, "key": "a-key-of-mine"}
    answer = client.post(path(asked, "edit"), form, headers=HTMX)
    assert answer.status_code == status
    assert f'hx-target="#edit-error-{asked.pk}"' in answer.content.decode()
    assert says in answer.content.decode()
    page = client.post(path(asked, "edit"), form)
    assert page.status_code == status
    html = page.content.decode()
    assert says in html
    assert f"\n{text}</textarea>" in html
    assert 'name="key" value="a-key-of-mine"' in html
    assert Message.objects.filter(role="user").count() == 1


def test_without_scripts_an_edit_has_a_page_of_its_own(client: Client, ada: User) -> None:
    conversation, asked, _ = talk(ada)
    page = client.get(path(asked, "edit")).content.decode()
    assert "<html" in page
    assert "Hello?</textarea>" in page
    assert f'href="/c/{conversation}/">Cancel</a>' in page


@pytest.mark.parametrize("command", ["regenerate", "continue", "show"])
def test_a_command_is_done_and_answers_with_nothing_or_a_redirect(
    client: Client, ada: User, command: str
) -> None:
    for headers, status in ((HTMX, 204), ({}, 302)):
        conversation, _, cut = talk(ada, "Half", state=State.STOPPED)
        if command == "show":
            branches.regenerate(ada, conversation, cut.pk)
            end(conversation, "New.")
        before = Conversation.objects.get(pk=conversation).head_id
        answer = client.post(path(cut, command), headers=headers)
        assert answer.status_code == status
        assert Conversation.objects.get(pk=conversation).head_id != before


@pytest.mark.parametrize("command", ["regenerate", "continue", "show"])
def test_a_command_that_is_declined_says_why_beside_the_composer(
    client: Client, ada: User, command: str
) -> None:
    conversation, _, cut = talk(ada, "Half", state=State.STOPPED)
    branches.regenerate(ada, conversation, cut.pk)
    answer = client.post(path(cut, command), headers=HTMX)
    assert answer.status_code == 409
    assert 'hx-target="#composer-error"' in answer.content.decode()
    assert "A reply is still being written here" in answer.content.decode()
    page = client.post(path(cut, command))
    assert page.status_code == 409
    assert "A reply is still being written here" in page.content.decode()
    assert 'class="composer"' in page.content.decode()


@pytest.mark.parametrize("command", ["regenerate", "continue", "show"])
def test_a_command_is_never_a_link(client: Client, ada: User, command: str) -> None:
    _, _, cut = talk(ada, "Half", state=State.STOPPED)
    assert client.get(path(cut, command)).status_code == 405


@pytest.mark.parametrize("number", ["0", "99999999999999999999999", "1e3", "-1"])
def test_a_message_that_cannot_be_is_not_found(client: Client, ada: User, number: str) -> None:
    conversation, _, _ = talk(ada)
    assert client.post(f"/c/{conversation}/messages/{number}/show").status_code == 404


# What they cost


def queries_of(client: Client, conversation: uuid.UUID) -> int:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert client.get(f"/c/{conversation}/").status_code == 200
    return len(captured)


def test_a_page_costs_as_many_queries_whatever_its_length_and_branches(
    client: Client, ada: User
) -> None:
    conversation, _, _ = talk(ada)
    short = queries_of(client, conversation)
    for number in range(12):
        asked = ask(ada, f"Question {number}", conversation)
        reply = end(conversation, f"Answer {number}")
        if number % 3 == 0:
            branches.edit(ada, conversation, asked.pk, "Edited", uuid.uuid4().hex)
            reply = end(conversation, "Another answer")
        if number % 2 == 0:
            branches.regenerate(ada, conversation, reply.pk)
            reply = end(conversation, "Half", state=State.STOPPED)
            branches.continue_reply(ada, conversation, reply.pk)
            end(conversation, "The rest")
    assert queries_of(client, conversation) == short


def test_the_form_of_an_edit_does_not_show_what_is_withheld(client: Client, ada: User) -> None:
    _, asked, _ = talk(ada)
    Message.objects.filter(pk=asked.pk).update(text="Secret words", withheld_at=timezone.now())
    form = client.get(path(asked, "edit"), headers=HTMX).content.decode()
    assert "Secret" not in form
    assert "Save and send" in form
