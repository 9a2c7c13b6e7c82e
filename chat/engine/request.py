"""A chat completion request, and what an endpoint takes of it. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from chat.engine.tool_calls import Call

# How an answer in a form is asked for, the surest way first; the last is to ask in words.
FORMATS = ("json_schema", "json_object", "")
IN_WORDS = (
    "Answer with one JSON object and nothing else: no words around it, no code fence. "
    "It must satisfy this JSON Schema:\n"
)


@dataclass(frozen=True, slots=True)
class Request:
    """One chat completion. ``messages`` are in the API's own form; ``None`` leaves the default.

    ``schema`` is a JSON Schema for the answer; ``more`` are further parameters, passed on as they
    are. Of an ``exact`` one nothing may be left out that the endpoint does not take: who asked
    through the API hears of it.
    """

    model: str
    messages: tuple[dict[str, Any], ...]
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    tools: tuple[dict[str, Any], ...] = ()
    tool_choice: Any = None
    schema: dict[str, Any] | None = None
    more: dict[str, Any] = field(default_factory=dict)
    exact: bool = False

    @property
    def optional(self) -> tuple[str, ...] | None:
        """The parameters that may be left out; None for all that can be."""
        return ("stream_options",) if self.exact else None

    @property
    def may_call(self) -> bool:
        return bool(self.tools) and self.tool_choice != "none"

    def answered(self, text: str, calls: Sequence[Call], *, tools: bool = True) -> "Request":
        """The request that follows when these calls have their results.

        ``tools`` is False when the model has called enough. Tools that had to be used have been.
        """
        said = {
            "role": "assistant",
            "content": text.strip() or None,
            "tool_calls": [call.as_sent() for call in calls],
        }
        results = [result_message(call.id, call.result) for call in calls]
        choice = self.tool_choice if tools and self.tool_choice == "auto" else None
        return replace(
            self,
            messages=(*self.messages, said, *results),
            tool_choice=choice if tools else "none",
        )


def result_message(call_id: str, result: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": result}


@dataclass(slots=True)
class Dialect:
    """What an endpoint turned out not to take, learnt from its refusals."""

    without: set[str] = field(default_factory=set)
    formats: tuple[str, ...] = FORMATS

    def body(self, request: Request, *, stream: bool) -> dict[str, Any]:
        body: dict[str, Any] = {**request.more, "messages": list(request.messages)}
        if request.model:
            body["model"] = request.model
        if stream:
            body["stream"] = True
            if "stream_options" not in self.without:
                body["stream_options"] = {"include_usage": True}
        limit = "max_completion_tokens" if "max_tokens" in self.without else "max_tokens"
        given = {
            "temperature": request.temperature,
            "top_p": request.top_p,
            limit: request.max_tokens,
            "tools": list(request.tools) or None,
            "tool_choice": request.tool_choice if request.tools else None,
        }
        body |= {name: value for name, value in given.items() if value is not None}
        if request.schema is not None:
            self._ask_for_form(request.schema, body)
        if request.exact:
            return body
        return {name: value for name, value in body.items() if name not in self.without}

    def learn(self, parameter: str) -> None:
        """This endpoint does not take this parameter, or not in this form."""
        if parameter == "response_format" and len(self.formats) > 1:
            self.formats = self.formats[1:]
        else:
            self.without.add(parameter)

    def _ask_for_form(self, schema: dict[str, Any], body: dict[str, Any]) -> None:
        way = self.formats[0]
        if way == "json_schema":
            form = {"name": "answer", "schema": schema, "strict": is_strict(schema)}
            body["response_format"] = {"type": way, "json_schema": form}
            return
        if way:
            body["response_format"] = {"type": way}
        words = IN_WORDS + json.dumps(schema, ensure_ascii=False)
        first, *rest = body["messages"] or [{}]
        if first.get("role") == "system":
            words = f"{first['content']}\n\n{words}"
            body["messages"] = [{"role": "system", "content": words}, *rest]
        else:
            body["messages"] = [{"role": "system", "content": words}, *body["messages"]]


def is_strict(schema: Any) -> bool:
    """Does it keep to what OpenAI's strict mode takes: every property required, and no other?"""
    if isinstance(schema, list):
        return all(map(is_strict, schema))
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if schema.get("type") == "object" or properties is not None:
        if not isinstance(properties, dict) or schema.get("additionalProperties") is not False:
            return False
        if set(schema.get("required", ())) != set(properties):
            return False
    return all(map(is_strict, schema.values()))
