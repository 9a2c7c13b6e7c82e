"""Who may change assistants for everyone can archive one whose owner is no longer there."""

from collections.abc import Callable

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from chat import access
from chat.models import Assistant, User
from tests.conftest import make_user
from tests.presets import make_assistant

LIST = reverse("admin:chat_assistant_changelist")


@pytest.fixture
def left_behind(ada: User) -> Assistant:
    """An assistant that everybody sees, of somebody who may not sign in any more."""
    assistant = make_assistant(ada, "Old hand", visibility="everyone")
    ada.is_active = False
    ada.save()
    return assistant


def archive(client: Client, assistant: Assistant) -> None:
    sent = {"action": "archive", "_selected_action": assistant.pk}
    client.post(LIST, sent, follow=True)
    assistant.refresh_from_db()


def test_an_administrator_archives_what_an_owner_left_behind(
    left_behind: Assistant, admin: User, bob: User, sign_in: Callable[[User], Client]
) -> None:
    root = sign_in(admin)
    archive(root, left_behind)
    assert left_behind.archived_at is not None
    assert left_behind not in access.assistants_to_use(bob.pk)
    assert LogEntry.objects.get().object_repr == "Old hand"
    first = left_behind.archived_at
    archive(root, left_behind)
    assert left_behind.archived_at == first
    assert LogEntry.objects.count() == 1


@pytest.mark.parametrize(("given", "archives"), [("view", False), ("change", True)])
def test_it_takes_the_permission_to_change_assistants(
    left_behind: Assistant, sign_in: Callable[[User], Client], given: str, archives: bool
) -> None:
    staff = make_user("staff", is_staff=True)
    for name in {"view", given}:
        staff.user_permissions.add(Permission.objects.get(codename=f"{name}_assistant"))
    archive(sign_in(staff), left_behind)
    assert (left_behind.archived_at is not None) is archives
