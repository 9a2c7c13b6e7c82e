"""What is no assistant is refused with the reason, and what was typed stays."""

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import Group, Permission
from django.test import Client

from chat import assistants
from chat.models import Assistant, PolicyRule, User
from tests.assistants.conftest import FORM, NEW, SignIn, make, refused


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
