"""An error knows whether to try again, and never shows a secret."""

import traceback

import pytest

from chat.engine import errors
from chat.engine.errors import DETAIL_CHARS, Garbled, ProviderError, RateLimited, UnknownParameter


def tree(root: type[ProviderError]) -> list[type[ProviderError]]:
    return [root, *(each for child in root.__subclasses__() for each in tree(child))]


OURS = [error for error in tree(ProviderError) if error.__module__ == errors.__name__]


def test_only_what_may_pass_by_itself_is_retryable() -> None:
    assert {error.kind for error in OURS if error.retryable} == {
        "rate_limited",
        "unavailable",
        "unreachable",
    }


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    assert errors.__doc__
    for error in OURS:
        assert error.__name__ in errors.__doc__


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Incorrect API key provided: sk-proj-abc123XYZ. See …", "sk-proj-abc123XYZ"),
        ("Incorrect API key provided: sk-pr*****XYZ.", "sk-pr*****XYZ"),
        ("Authorization: Bearer eyJhbGciOi.x.y rejected", "eyJhbGciOi.x.y"),
        ("bad header api-key: 0123456789abcdef", "0123456789abcdef"),
        ('{"api_key": "0123456789abcdef"}', "0123456789abcdef"),
        ("invalid gsk_ or gsk-0123456789", "gsk-0123456789"),
        ("invalid gsk_abcDEF0123456789", "gsk_abcDEF0123456789"),
        ("Authorization: Basic dXNlcjpwYXNz rejected", "dXNlcjpwYXNz"),
        ('{"authorization": "Bearer 0123456789abcdef"}', "0123456789abcdef"),
        ("Incorrect API key provided: 01234***cdef.", "01234***cdef"),
        ("GET /v1/models?key=AbCdEf0123&alt=sse failed", "AbCdEf0123"),
        ("API key not valid: AIzaSyA-0123456789_abcdefghij", "AIzaSyA-0123456789_abcdefghij"),
        ("token eyJhbGciOi.eyJzdWIiOi.sig-nature", "eyJhbGciOi.eyJzdWIiOi.sig-nature"),
        ("nvapi-0123456789, pplx-0123456789", "pplx-0123456789"),
        ("hf_AbCdEfGhIjKlMn has no access", "hf_AbCdEfGhIjKlMn"),
        ("cannot connect to http://user:passw0rd@proxy:3128", "user:passw0rd"),
    ],
)
def test_what_looks_like_a_key_is_blanked(text: str, secret: str) -> None:
    error = Garbled(text)
    for shown in (error.detail, str(error), repr(error), *traceback.format_exception(error)):
        assert secret not in shown
    assert "[secret]" in str(error)


def test_plain_words_stay() -> None:
    for text in (
        "The task-force asked sk-learn: no API key provided, the key-value store is down",
        "See https://example.org/errors?code=7, me@example.org; request id req_0123456789abcdef",
        "HTTP 401: basic authentication is switched off",
    ):
        assert str(ProviderError(text)) == text


@pytest.mark.parametrize("form", ["a+b/c==d", "a%2Bb%2Fc%3D%3Dd"])
def test_a_given_secret_is_blanked_in_the_forms_in_which_it_travels(form: str) -> None:
    error = ProviderError(f"no access for {form}")
    error.blank("a+b/c==d")
    assert str(error) == "no access for [secret]"


def test_a_given_secret_is_blanked_before_the_detail_is_cut() -> None:
    key = "correct-horse-battery"
    error = ProviderError("x" * (DETAIL_CHARS - 10) + key)
    error.blank(key)
    assert "correct" not in str(error)
    assert len(error.detail) <= DETAIL_CHARS
    assert error.detail.startswith("xxx")


def test_a_key_too_short_to_be_one_spoils_no_sentence() -> None:
    error = ProviderError("none of the models exists")
    error.blank("", "x")
    assert str(error) == "none of the models exists"


def test_a_detail_can_be_stored() -> None:
    assert ProviderError("a\0b\ud83d").detail == "a\ufffdb\ufffd"


def test_an_error_without_a_detail_says_its_kind() -> None:
    assert str(RateLimited()) == "rate_limited"
    assert str(UnknownParameter("top_p")) == "refused"
