"""What is answered when a request cannot be."""

import uuid
from collections.abc import Callable

import pytest
from django.db import InterfaceError, OperationalError
from django.test import Client

from chat import access
from chat.models import User


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (OperationalError("gone"), 503, "The database is away"),
        (InterfaceError("closed"), 503, "The database is away"),
        (RuntimeError("ours"), 500, "Something went wrong"),
    ],
)
def test_a_database_that_is_away_is_no_fault_of_ours(
    ada: User,
    sign_in: Callable[[User], Client],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    status: int,
    words: str,
) -> None:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(access, "conversation_if_any", fails)
    client = sign_in(ada)
    client.raise_request_exception = False
    answer = client.get(f"/c/{uuid.uuid4()}/")
    assert answer.status_code == status
    assert words in answer.content.decode()
    assert str(error) not in answer.content.decode()
    assert answer.headers.get("Retry-After") == ("5" if status == 503 else None)
