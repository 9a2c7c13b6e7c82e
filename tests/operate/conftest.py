"""Who looks at the status page, and rows for it to count."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone

from chat.models import Generation, Message, User
from tests.admin.rows import make_conversation, reply, say
from tests.conftest import make_user

Answered = Callable[..., Message]


@pytest.fixture
def operator(db: None) -> User:
    """Staff with the permission and no other."""
    user = make_user("olga", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_status"))
    return user


@pytest.fixture
def answered(ada: User) -> Answered:
    """Makes a conversation of Ada's with a reply that was asked for so long ago."""

    def make(ago: timedelta = timedelta(), **fields: Any) -> Message:
        message = reply(say(make_conversation(ada), "Hello?"), "An answer.", **fields)
        # It is set by the database's layer when a row is made, whatever one says.
        Generation.objects.filter(message=message).update(created_at=timezone.now() - ago)
        return message

    return make
