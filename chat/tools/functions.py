"""A tool from a typed Python function.

    class Coin(Arguments):
        sides: int = Field(ge=2, description="how many sides it has")

    @tool(_("Flip a coin"))
    def flip(arguments: Coin, context: Context) -> str:
        '''Flip a coin and return the number of the side that is up.'''
        return str(secrets.randbelow(arguments.sides) + 1)

The model of the arguments gives the schema, the docstring is the description.
"""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast, get_type_hints

from django.conf import settings
from django.utils.functional import Promise
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.json_schema import GenerateJsonSchema

from chat.database import in_database
from chat.tools.base import Context, InvalidArguments, Tool

SENTENCE_CHARS = 200


class Arguments(BaseModel):
    """The arguments of a tool. One that it does not know is an error: a model can mend that."""

    model_config = ConfigDict(extra="forbid", frozen=True)


A = TypeVar("A", bound=Arguments)
Function = Callable[[A, Context], str | Awaitable[str]]


class _Untitled(GenerateJsonSchema):
    """Without a title per field, which repeats the field's name and is paid for in tokens."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


@dataclass(frozen=True, kw_only=True)
class FunctionTool(Tool):
    model: type[Arguments]
    function: Callable[[Any, Context], Any] = field(repr=False)
    database: bool
    offered: Callable[[], bool] = field(repr=False)

    def check(self, arguments: dict[str, Any]) -> None:
        self._validated(arguments)

    async def run(self, arguments: dict[str, Any], context: Context) -> str:
        validated = self._validated(arguments)
        if self.database:
            return cast(str, await in_database(self.function, validated, context))
        result = self.function(validated, context)
        return cast(str, await result if inspect.isawaitable(result) else result)

    def _validated(self, arguments: dict[str, Any]) -> Arguments:
        try:
            return self.model.model_validate(arguments)
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)
            errors = [
                (".".join(map(str, one["loc"]))[:SENTENCE_CHARS], one["msg"][:SENTENCE_CHARS])
                for one in found
            ]
            raise InvalidArguments.listing(errors) from None


def _always() -> bool:
    return True


def tool(
    title: str | Promise,
    *,
    database: bool = False,
    parallel: bool = True,
    asks_first: bool = False,
    timeout_s: float | None = None,
    offered: Callable[[], bool] = _always,
) -> Callable[[Function[A]], FunctionTool]:
    """Make a tool of a function of its arguments and the context.

    A function that uses the ORM says ``database=True`` and runs in the database's threads; an
    async one is awaited; any other must be done in a few milliseconds, for it holds up the loop.
    ``offered`` says whether this installation has the tool.
    """

    def make(function: Function[A]) -> FunctionTool:
        model = cast(type[Arguments], get_type_hints(function)["arguments"])
        schema = model.model_json_schema(schema_generator=_Untitled)
        schema.pop("title", None)
        schema.pop("description", None)
        return FunctionTool(
            name=function.__name__,
            title=title,
            description=inspect.cleandoc(function.__doc__ or ""),
            parameters=schema,
            timeout_s=settings.TOOL_TIMEOUT if timeout_s is None else timeout_s,
            parallel=parallel,
            asks_first=asks_first,
            model=model,
            function=function,
            database=database,
            offered=offered,
        )

    return make
