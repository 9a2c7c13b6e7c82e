"""What tests of accounts share: empty counters, an invitation, and what a form is sent."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.cache import cache
from django.db import connections
from django.test import Client
from django.utils import timezone

from chat.models import Invitation, User

SECRET = "seven lazy otters"  # nobody's password yet


@pytest.fixture(autouse=True)
def _limits_start_at_zero() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def open_signup(settings: LazySettings) -> None:
    settings.SIGNUP = "open"


@pytest.fixture
def invite_only(settings: LazySettings) -> None:
    settings.SIGNUP = "invite"


@pytest.fixture
def invitation(admin: User, invite_only: None) -> Invitation:
    expires = timezone.now() + timedelta(days=7)
    return Invitation.objects.create(note="For Grace", created_by=admin, expires_at=expires)


def answers(name: str = "grace", **changed: str) -> dict[str, str]:
    """What somebody types into the sign-up form."""
    return {
        "username": name,
        "email": f"{name}@example.org",
        "password1": SECRET,
        "password2": SECRET,
    } | changed


def signed_in_as(client: Client) -> str | None:
    """Who the session belongs to, by name."""
    number = client.session.get("_auth_user_id")
    return User.objects.get(pk=number).get_username() if number else None


def errors(response: Any) -> dict[str, list[str]]:
    return {name: list(map(str, found)) for name, found in response.context["form"].errors.items()}


@pytest.fixture
def at_once() -> Callable[..., list[Any]]:
    """Run calls in threads of their own; gives their results in order."""

    def run(*calls: Callable[[], Any]) -> list[Any]:
        results: list[Any] = [None] * len(calls)

        def work(number: int) -> None:
            try:
                results[number] = calls[number]()
            except Exception as error:
                results[number] = error
            finally:
                connections.close_all()

        threads = [Thread(target=work, args=(number,)) for number in range(len(calls))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    return run


@pytest.fixture
def meet(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str, int], None]:
    """Hold callers of a function until so many of them have come."""

    def hold(where: Any, name: str, parties: int) -> None:
        original = getattr(where, name)
        barrier = Barrier(parties)

        def waiting(*args: Any, **kwargs: Any) -> Any:
            barrier.wait(timeout=20)
            return original(*args, **kwargs)

        monkeypatch.setattr(where, name, waiting)

    return hold


@pytest.fixture
def time_machine(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Move the clock of signatures forward by so many seconds."""
    clock = time.time
    gone = 0.0

    def forward(seconds: float) -> None:
        nonlocal gone
        gone += seconds
        monkeypatch.setattr("django.core.signing.time.time", lambda: clock() + gone)

    return forward
