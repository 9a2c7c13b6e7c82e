"""What a turn needs of whoever runs the tools: the calls of a round in, their results set."""

from collections.abc import Callable, Sequence
from typing import Protocol

from chat.engine.events import Step
from chat.engine.tool_calls import Call

Move = Callable[[Call, Step, str, float | None], None]
"""The call has moved: to this step, with this result, after so many milliseconds."""


class Toolbox(Protocol):
    async def run(self, calls: Sequence[Call], move: Move) -> None:
        """Run these calls, each to one of the last steps, and tell ``move`` of every step.

        A call with a ``problem`` is not run. Whatever a tool does, this returns: a failure is a
        result. Cancelled when the reply is stopped; what ran is ended then.
        """
