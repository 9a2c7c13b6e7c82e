"""Every provider's way to decline becomes one of our errors."""

import time
from email.utils import formatdate
from typing import Any

import pytest

from chat.engine.errors import UnknownParameter
from chat.engine.faults import (
    OPTIONAL,
    complaint,
    error_of_status,
    reported_error,
    retry_after_s,
)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "refused"),
        (401, "not_authorised"),
        (402, "refused"),
        (403, "not_authorised"),
        (404, "refused"),
        (408, "unavailable"),
        (409, "unavailable"),
        (413, "refused"),
        (418, "refused"),
        (422, "refused"),
        (429, "rate_limited"),
        (500, "unavailable"),
        (503, "unavailable"),
        (498, "unavailable"),
        (524, "unavailable"),
        (529, "unavailable"),
    ],
)
def test_a_status_says_what_kind_of_error_it_is(status: int, kind: str) -> None:
    error = error_of_status(status, "<h1>No</h1>", {})
    assert (error.kind, error.detail) == (kind, f"HTTP {status}: <h1>No</h1>")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("invalid_api_key", "not_authorised"),
        ("authentication_error", "not_authorised"),
        ("permission_denied", "not_authorised"),
        ("rate_limit_exceeded", "rate_limited"),
        ("insufficient_quota", "rate_limited"),
        ("overloaded_error", "unavailable"),
        ("server_error", "unavailable"),
        ("InternalServerError", "unavailable"),
        ("api_error", "unavailable"),
        ("invalid_request_error", "refused"),
        ("BadRequestError", "refused"),
        (400, "refused"),
        (429, "rate_limited"),
        ("503", "unavailable"),
        (None, "provider"),
        ("odd", "provider"),
        ("None", "provider"),
        ("RESOURCE_EXHAUSTED", "rate_limited"),
        ("engine_overloaded_error", "unavailable"),
        ("upstream_timeout", "unavailable"),
        ("forbidden", "not_authorised"),
        ({"a": 1}, "provider"),
    ],
)
def test_a_code_says_what_kind_of_error_it_is(code: Any, kind: str) -> None:
    error = reported_error({"error": {"message": "No.", "code": code}})
    assert error is not None
    assert error.kind == kind


def test_of_several_codes_the_first_that_means_something_counts() -> None:
    error = {"message": "No.", "code": "tool_use_failed", "type": "None", "status_code": 400}
    assert kind_of({"error": error}) == "refused"
    assert kind_of({"error": error | {"type": "rate_limit_error"}}) == "rate_limited"
    assert kind_of({"error": "No.", "error_type": "overloaded"}) == "unavailable"


def kind_of(body: Any) -> str:
    error = reported_error(body)
    assert error is not None
    return error.kind


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"message": "No.", "type": "server_error", "code": None}}, "unavailable"),
        ({"error": [{"message": "No.", "code": 503}]}, "unavailable"),
        ({"code": "The service is unavailable", "error": "No."}, "unavailable"),
        ({"code": 500, "msg": "No.", "success": False}, "unavailable"),
        ({"error_code": "BAD_REQUEST", "message": "No."}, "refused"),
        ({"error_code": 336, "error_msg": "No."}, "provider"),
        ({"base_resp": {"status_code": 1004, "status_msg": "No."}, "choices": None}, "provider"),
        ({"type": "error", "message": "No.", "object": "x"}, "provider"),
        ({"title": "Error 524", "status": 524, "detail": "No."}, "unavailable"),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "No."}}, "unavailable"),
        ([{"error": {"code": 503, "message": "No.", "status": "UNAVAILABLE"}}], "unavailable"),
        ({"error": "No.", "status": 401}, "not_authorised"),
        ({"error": True, "message": "No."}, "provider"),
        ({"object": "error", "message": "No.", "code": 400}, "refused"),
        ({"errors": [{"message": "No.", "code": 7003}]}, "provider"),
        ({"detail": "No."}, "provider"),
        ({"message": "No.", "code": 500}, "unavailable"),
    ],
)
def test_the_shapes_of_an_error(body: Any, kind: str) -> None:
    error = reported_error(body)
    assert error is not None
    assert (error.kind, error.detail) == (kind, "No.")


@pytest.mark.parametrize(
    "body",
    [
        *(None, [], "error", {}, {"error": None}, {"error": {}}, {"error": False}),
        {"object": "list", "message": "x"},
        {"error": {"message": "", "type": "", "param": None, "code": 0}},
        {"choices": [{}], "message": "x", "code": 500},
        {"code": 0, "message": "Success"},
        {"code": 200, "msg": "ok", "data": {}},
        {"base_resp": {"status_code": 0, "status_msg": "success"}},
    ],
)
def test_what_reports_no_error(body: Any) -> None:
    assert reported_error(body) is None


def test_a_complaint_leaves_out_the_request_that_is_echoed() -> None:
    entry = {
        "type": "extra_forbidden",
        "loc": ["body", "stream_options"],
        "msg": "Extra inputs are not permitted",
        "input": {"messages": [{"content": "private words"}]},
    }
    text = complaint({"detail": [entry]})
    assert text == "body.stream_options: Extra inputs are not permitted (extra_forbidden)"


def test_a_complaint_holds_what_the_provider_behind_a_router_said() -> None:
    metadata = {"raw": '{"error": "No such model"}', "provider_name": "Vendor"}
    body = {"error": {"message": "Provider returned error", "code": 400, "metadata": metadata}}
    assert complaint(body) == 'Provider returned error ({"error": "No such model"})'
    assert complaint({"error": {"message": "No.", "metadata": {"raw": None}}}) == "No."


def test_a_report_holds_nothing_of_the_chunk_that_it_came_with() -> None:
    choices = [{"delta": {"content": "private words"}}]
    for report in ({"error": "No."}, {"x_groq": {"error": "No."}}, {"error": {"code": 7}}):
        error = reported_error({"choices": choices, **report})
        assert error is not None
        assert "private" not in error.detail


OPENAI = "Unsupported parameter: 'max_tokens' is not supported with this model. "


@pytest.mark.parametrize(
    ("message", "param", "expected"),
    [
        ("Unrecognized request argument supplied: stream_options", None, "stream_options"),
        ("Unknown parameter: 'stream_options'.", "stream_options", "stream_options"),
        ("Bad request", "stream_options", "stream_options"),
        (OPENAI + "Use 'max_completion_tokens' instead.", "max_tokens", "max_tokens"),
        (OPENAI + "Use 'max_completion_tokens' instead.", None, "max_tokens"),
        (
            "Unsupported value: 'temperature' does not support 0.2 with this model. Only the "
            "default (1) value is supported.",
            "temperature",
            "temperature",
        ),
        ("`temperature` and `top_p` cannot both be specified for this model.", None, "temperature"),
        ("`top_p` is deprecated for this model.", None, "top_p"),
        ('Unknown name "stream_options": Cannot find field.', None, "stream_options"),
        ("property 'top_p' is unsupported", None, "top_p"),
        # As they were met: Databricks, Cohere, xAI, Fireworks, Azure AI, Anthropic, Moonshot,
        # LiteLLM, vLLM, Bedrock, OpenRouter.
        ('Bad request: json: unknown field "stream_options"', None, "stream_options"),
        ("stream_options: Extra inputs are not permitted", None, "stream_options"),
        ("Argument not supported: stream_options", None, "stream_options"),
        ("Argument not supported on this model: topP", None, "top_p"),
        (
            "Model grok-9 does not support parameter maxCompletionTokens.",
            None,
            "max_completion_tokens",
        ),
        ("Extra inputs are not permitted, field: 'top_p', value: 0.5", None, "top_p"),
        (
            "Validation error at #/stream_options: Extra inputs are not permitted",
            None,
            "stream_options",
        ),
        (
            "Unrecognized request argument supplied: max_completion_tokens",
            None,
            "max_completion_tokens",
        ),
        ("`temperature` may only be set to 1 when thinking is enabled.", None, "temperature"),
        (
            "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.",
            None,
            "top_p",
        ),
        ("invalid temperature: only 1 is allowed for this model", None, "temperature"),
        ("Error from provider: invalid top_p: only 0.95 is allowed for this model", None, "top_p"),
        (
            "litellm.UnsupportedParamsError: gpt-5 models don't support temperature=0.2. Only "
            "temperature=1 is supported.",
            None,
            "temperature",
        ),
        (
            "litellm.BadRequestError: OpenAIException - Unsupported parameter: 'top_p' is not "
            "supported with this model.. Received Model Group=m",
            None,
            "top_p",
        ),
        (
            "[{'type': 'extra_forbidden', 'loc': ('body', 'max_completion_tokens'), 'msg': 'Extra "
            "inputs are not permitted', 'input': 8192}]",
            None,
            "max_completion_tokens",
        ),
        (
            "The model returned the following errors: `temperature` and `top_p` cannot both be "
            "specified for this model. Please use only one.",
            None,
            "temperature",
        ),
        (
            "Unknown parameter: 'stream_options.include_usage'.",
            "stream_options.include_usage",
            "stream_options",
        ),
    ],
)
def test_a_parameter_that_is_not_taken_is_named(
    message: str, param: str | None, expected: str
) -> None:
    body = {"error": {"message": message, "param": param, "type": "invalid_request_error"}}
    error = error_of_status(400, body, {}, sent=OPTIONAL)
    assert isinstance(error, UnknownParameter)
    assert error.parameter == expected


@pytest.mark.parametrize(
    "body",
    [
        "Unknown field top_p",
        {"message": "extra_forbidden: top_p", "object": "error"},
        {"detail": [{"type": "extra_forbidden", "loc": ["body", "top_p"], "msg": "No."}]},
        [{"error": {"message": 'Unknown name "top_p": Cannot find field.'}}],
        {
            "object": "error",
            "message": {"detail": [{"type": "extra_forbidden", "loc": ["body", "top_p"]}]},
            "type": "invalid_request_error",
        },
        {
            "error": {
                "message": "Provider returned error",
                "metadata": {"raw": '{"error": {"message": "`top_p` is not supported"}}'},
            }
        },
        {"code": "Client specified an invalid argument", "error": "Argument not supported: top_p"},
    ],
)
def test_it_is_found_in_any_shape_of_body(body: Any) -> None:
    error = error_of_status(422, body, {}, sent=OPTIONAL)
    assert isinstance(error, UnknownParameter)
    assert error.parameter == "top_p"


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ("max_tokens is too large: 100000. This model supports at most 4096.", "max_tokens"),
        ("Invalid 'temperature': expected a value <= 2, but got 3.", "temperature"),
        ("This model's maximum context length is 4096 tokens. Reduce max_tokens.", None),
        ("Unknown parameter: 'messages[0].name'.", "messages"),
        ("Unsupported content in messages; temperature is fine", "messages"),
        ("Unsupported parameter: 'max_tokens_to_sample'", None),
        ("The model `gpt-9` does not exist", "model"),
        ("Bad request", None),
        ("Range of max_tokens should be [1, 8192]", None),
        ("max_tokens: must be at least 1", None),
        ("temperature must be less than or equal to 1", None),
        ("Input is too long: 9000 tokens and max_tokens 4096 exceed the context", None),
    ],
)
def test_a_refusal_about_anything_else_is_no_unknown_parameter(
    message: str, param: str | None
) -> None:
    body = {"error": {"message": message, "param": param}}
    assert type(error_of_status(400, body, {}, sent=OPTIONAL)) is not UnknownParameter


def test_only_a_parameter_that_was_sent_can_be_left_out() -> None:
    body: dict[str, Any]
    body = {"error": {"message": "Unknown parameter: 'top_p'.", "param": "top_p"}}
    assert isinstance(error_of_status(400, body, {}, sent=("top_p",)), UnknownParameter)
    assert type(error_of_status(400, body, {}, sent=("temperature",))) is not UnknownParameter
    body["error"]["param"] = None
    assert isinstance(error_of_status(400, body, {}, sent=("top_p",)), UnknownParameter)
    assert type(error_of_status(400, body, {}, sent=("temperature",))) is not UnknownParameter
    assert type(error_of_status(400, body, {})) is not UnknownParameter


def test_only_a_refusal_names_a_parameter() -> None:
    body = {"error": {"message": "Unknown parameter: 'top_p'.", "param": "top_p"}}
    assert isinstance(error_of_status(422, body, {}, sent=OPTIONAL), UnknownParameter)
    assert error_of_status(401, body, {}, sent=OPTIONAL).kind == "not_authorised"
    assert error_of_status(500, body, {}, sent=OPTIONAL).kind == "unavailable"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "nan"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    ],
)
def test_retry_after_is_seconds_whatever_its_form(
    headers: dict[str, str], expected: float | None
) -> None:
    assert retry_after_s(headers) == expected
    assert error_of_status(429, "", headers).retry_after_s == expected


def test_a_body_may_say_it_where_no_header_does() -> None:
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "26.5s"}
    body: Any = {"error": {"code": 429, "message": "No.", "details": [{"retryDelay": 7}, info]}}
    for each in (body, [body]):
        assert error_of_status(429, each, {}).retry_after_s == 26.5
        assert error_of_status(429, each, {"retry-after": "3"}).retry_after_s == 3
        error = reported_error(each)
        assert error is not None
        assert error.retry_after_s == 26.5
    for details in (None, "26s", [None], [{"retryDelay": "soon"}]):
        body["error"]["details"] = details
        assert error_of_status(429, body, {}).retry_after_s is None


def test_retry_after_can_be_a_date() -> None:
    delay_s = retry_after_s({"retry-after": formatdate(time.time() + 30, usegmt=True)})
    assert delay_s is not None
    assert 20 < delay_s <= 30
