"""Who is let in, and what is answered to what cannot be: always JSON, in OpenAI's form."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from chat import services
from chat.api import keys
from chat.models import ApiKey, Conversation, Scope, User

HELLO = {"messages": [{"role": "user", "content": "Hello?"}]}


@pytest.fixture
def key(ada: User) -> str:
    return keys.make(ada)


def get(key: str, path: str = "/v1/models", scheme: str = "Bearer") -> Any:
    return Client().get(path, headers={"Authorization": f"{scheme} {key}"})


def post(key: str, body: Any = HELLO) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body)
    client = Client(enforce_csrf_checks=True)
    headers = {"Authorization": f"Bearer {key}"}
    return client.post("/v1/chat/completions", data, "application/json", headers=headers)


def code(answer: Any) -> tuple[int, str]:
    error = answer.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    return answer.status_code, error["code"]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_a_key_opens_the_door(key: str, scheme: str) -> None:
    answer = get(key, scheme=scheme)
    assert answer.json()["data"] == [
        {"id": "fake", "object": "model", "created": 0, "owned_by": "parley"}
    ]
    assert answer["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in answer


@pytest.mark.parametrize(
    "change",
    [
        {"revoked_at": timezone.now()},
        {"expires_at": timezone.now() - timedelta(seconds=1)},
        {"sha256": "0" * 64},
    ],
)
def test_a_key_that_is_over_does_not(key: str, change: dict[str, Any]) -> None:
    ApiKey.objects.update(**change)
    for answer in (get(key), post(key)):
        assert code(answer) == (401, "invalid_api_key")
        assert answer["WWW-Authenticate"] == "Bearer"
        assert key not in answer.content.decode()


def test_a_key_does_not_outlive_its_owners_account(ada: User, key: str) -> None:
    User.objects.update(is_active=False)
    assert code(get(key)) == (401, "invalid_api_key")


@pytest.mark.parametrize("given", ["", "Basic x", "Bearer", "Bearer ", "Bearer \xe4"])
def test_without_a_key_there_is_nothing(ada: User, given: str) -> None:
    answer = Client().get("/v1/models", headers={"Authorization": given} if given else None)
    assert code(answer) == (401, "invalid_api_key")


def test_a_session_gives_no_access(ada: User) -> None:
    client = Client()
    client.force_login(ada)
    assert code(client.get("/v1/models")) == (401, "invalid_api_key")
    answer = client.post("/v1/chat/completions", json.dumps(HELLO), "application/json")
    assert code(answer) == (401, "invalid_api_key")


def test_a_key_may_do_what_its_scopes_say(ada: User) -> None:
    chat, models = (keys.make(ada, scopes=[scope]) for scope in Scope)
    assert code(get(chat)) == (403, "missing_scope")
    assert code(post(models)) == (403, "missing_scope")
    assert get(models).status_code == 200


def test_the_last_use_is_noted_once_a_minute(key: str) -> None:
    get(key)
    first = ApiKey.objects.get().last_used_at
    assert first is not None
    get(key)
    assert ApiKey.objects.get().last_used_at == first
    ApiKey.objects.update(last_used_at=first - timedelta(minutes=2))
    get(key)
    assert ApiKey.objects.get().last_used_at >= first


def test_of_a_key_only_a_hash_is_kept(key: str) -> None:
    (row,) = ApiKey.objects.values()
    assert key not in str(row)
    assert key.startswith(row["shown"])


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/embeddings", "/v1/chat/completions/x"])
def test_what_is_not_there_is_said_in_json(db: None, path: str) -> None:
    assert code(Client().get(path)) == (404, "unknown_url")
    assert code(Client(enforce_csrf_checks=True).post(path)) == (404, "unknown_url")


def test_a_wrong_method_is_said_in_json(key: str) -> None:
    answer = get(key, "/v1/chat/completions")
    assert code(answer) == (405, "method_not_allowed")
    assert answer["Allow"] == "POST"


def test_mistakes_are_named_and_leave_no_row(key: str) -> None:
    assert code(post(key, b"{")) == (400, "invalid_json")
    assert code(post(key, {**HELLO, "model": "gpt-9"})) == (404, "model_not_found")
    assert post(key, {"messages": []}).json()["error"]["param"] == "messages"
    assert not Conversation.objects.exists()


def test_a_body_that_is_too_large_is_refused(key: str, settings: LazySettings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    assert code(post(key, b" " * 101)) == (413, "request_too_large")


@pytest.mark.parametrize(
    ("failure", "said"),
    [(OperationalError("away"), (503, "unavailable")), (ValueError("canary"), (500, "internal"))],
)
def test_our_own_faults_are_json_too(
    key: str, monkeypatch: pytest.MonkeyPatch, failure: Exception, said: tuple[int, str]
) -> None:
    def fail() -> list[str]:
        raise failure

    monkeypatch.setattr(services, "model_names", fail)
    answer = get(key)
    assert code(answer) == said
    assert "canary" not in answer.content.decode()
