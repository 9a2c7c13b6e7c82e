"""The schema that an assistant's answers have to satisfy."""

import json
from typing import Any

import pytest
from django.test import Client

from chat.forms_schema import MAX_BYTES
from chat.models import AssistantVersion
from tests.assistants.conftest import FORM, NEW, refused

SCHEMAS = {
    '{"type": "object",\n "x": }': "line 2, column 7",
    "[]": "a JSON object",
    '"text"': "a JSON object",
    '{"type": "array"}': "has to be an object",
    '{"properties": {}}': "has to be an object",
    '{"type": "object", "properties": {"a": {"type": "strin"}}}': "properties.a.type",
    '{"type": "object", "required": "a"}': "required",
    '{"type": "object", "$schema": "http://json-schema.org/draft-07/schema#"}': "2020-12",
    '{"type": "object", "$ref": "https://example.org/x"}': "into the schema itself",
    '{"type": "object", "items": {"$ref": "other.json#/a"}}': "into the schema itself",
    '{"type": "object", "items": {"$dynamicRef": "//example.org"}}': "into the schema itself",
    '{"type": "object", "$ref": "#/$defs/no"}': "points to nothing",
    '{"type": "object", "minimum": NaN}': "NaN",
    '{"type": "object", "minimum": 1e999}': "too large",
    '{"type": "object", "title": "\\u0000"}': "cannot be kept",
    '{"type": "object", "title": "\\ud800"}': "cannot be kept",
    '{"type": "object", "enum": [' + "[" * 70 + "]" * 70 + "]}": "Nested too deeply",
    "[" * 10_000: "Not usable as JSON",
    '{"type": "object", "title": "' + "x" * MAX_BYTES + '"}': "at most 20 KB",
}


@pytest.mark.parametrize("schema", SCHEMAS, ids=SCHEMAS.values())
def test_a_schema_that_is_none_is_refused_with_the_reason(client: Client, schema: str) -> None:
    assert SCHEMAS[schema] in refused(client, response_schema=schema).replace("&#x27;", "'")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "$schema": "https://json-schema.org/draft/2020-12/schema"},
        {"type": "object", "items": {"$ref": "#/$defs/a"}, "$defs": {"a": {"type": "string"}}},
        {"type": "object", "items": {"$ref": "#here"}, "$defs": {"a": {"$anchor": "here"}}},
        {"type": "object", "properties": {"child": {"$ref": "#"}}},
        {"type": "object", "title": "naïve 漢字 😀"},
    ],
)
def test_a_schema_is_kept_as_it_is(client: Client, schema: Any) -> None:
    client.post(NEW, {**FORM, "response_schema": json.dumps(schema)})
    assert AssistantVersion.objects.get().response_schema == schema
