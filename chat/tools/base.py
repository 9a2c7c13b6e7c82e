"""What a tool is.

    Exception
    ├── ToolFailed                     the tool could not do it
    └── ValueError
        └── InvalidArguments           what the model wrote does not fit the tool's schema

The words of both go to the model, which may try again, and to the page: they hold no secret and no
detail of this machine.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.utils.functional import Promise

if TYPE_CHECKING:
    from chat.tools.mcp_sessions import Sessions

MOST_ERRORS = 10


class ToolFailed(Exception):
    """The tool could not do it; its words go to the model and the page."""


class InvalidArguments(ValueError):
    """The arguments do not fit; the message lists the fields and what is wrong with each."""

    @classmethod
    def listing(cls, errors: list[tuple[str, str]]) -> "InvalidArguments":
        """One from pairs of a field's path and what is wrong there."""
        lines = [f"{path}: {text}" if path else text for path, text in errors[:MOST_ERRORS]]
        if len(errors) > MOST_ERRORS:
            lines.append("and more")
        return cls("\n".join(lines))


@dataclass(frozen=True, slots=True)
class Context:
    """Whose reply calls, in which conversation, and the reply's connections to tool servers."""

    user_id: int
    conversation_id: UUID
    sessions: "Sessions"


@dataclass(frozen=True, kw_only=True)
class Tool(ABC):
    """Something that a model may call.

    ``title`` is for people, ``name`` and ``description`` for the model. ``parameters`` is a JSON
    Schema of an object. A ``parallel`` tool may run beside other calls; one that ``asks_first``
    needs the user's approval unless the assistant says otherwise.
    """

    name: str
    title: str | Promise
    description: str
    parameters: dict[str, Any] = field(hash=False)
    timeout_s: float
    parallel: bool
    asks_first: bool = False

    @property
    def spec(self) -> dict[str, Any]:
        """The tool as the chat completions API wants it."""
        function = {
            "name": self.name,
            "description": self.description,
            "parameters": self.parameters,
        }
        return {"type": "function", "function": function}

    @abstractmethod
    def check(self, arguments: dict[str, Any]) -> None:
        """Raises:
        InvalidArguments
        """

    @abstractmethod
    async def run(self, arguments: dict[str, Any], context: Context) -> str:
        """The result, as text, of arguments that ``check`` has passed.

        May be cancelled at any time, and then leaves nothing behind.

        Raises:
            ToolFailed
        """
