"""Assistants, and people who may or may not see them."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from chat import actions, assistants
from chat.models import Assistant, AssistantVersion, Message, User
from tests.conftest import make_user

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


def seen(client: Client, assistant: Assistant) -> bool:
    """On its pages, in the list, in the picker; each says the same."""
    name = assistant.newest.name  # type: ignore[union-attr]
    answers = {client.get(path.format(a=assistant.pk)).status_code == 200 for path in READ}
    answers.add(client.get(f"/?assistant={assistant.pk}").status_code == 200)
    answers.add(name in client.get("/assistants/").content.decode())
    answers.add(name in client.get("/").content.decode())
    assert len(answers) == 1, answers
    return answers.pop()


def refused(client: Client, **values: Any) -> str:
    answer = client.post(NEW, {**FORM, **values})
    assert answer.status_code == 422
    assert not Assistant.objects.exists()
    return answer.content.decode()
