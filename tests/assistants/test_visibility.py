"""Who sees an assistant, and who may change it."""

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from chat.models import AssistantVersion, User
from tests.assistants.conftest import FORM, NEW, READ, WRITE, SignIn, make, seen


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
