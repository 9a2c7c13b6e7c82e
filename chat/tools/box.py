"""Runs the tool calls of one reply: checked, asked about, in parallel where it is safe, on record.

What came of a call is always a result that the model reads: a mistake of its own in the arguments,
the user's No, a failure, a deadline. Only being cancelled ends ``run`` early.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DatabaseError

from chat.database import in_database
from chat.engine.events import Step
from chat.engine.tool_calls import Call
from chat.engine.toolbox import Move
from chat.engine.wellformed import well_formed
from chat.models import Decision
from chat.tools import record
from chat.tools.base import Context, InvalidArguments, Tool, ToolFailed
from chat.tools.mcp_sessions import Sessions

logger = structlog.get_logger()

RESULT_CHARS = 20_000
LOOK_S = 1.0  # a decision is rung; this is how long a lost ring can go unnoticed


class Box:
    """``chat.engine.toolbox.Toolbox`` of a reply. Use as a context manager.

    ``news`` is set, and cleared at once, whenever the user may have decided on a call.
    """

    def __init__(
        self,
        claim: record.Claim,
        context: Context,
        tools: Mapping[str, Tool],
        approvals: frozenset[str],
        news: asyncio.Event,
    ) -> None:
        self.waiting = 0  # calls for the user's word: nothing is being paid for meanwhile
        self._claim, self._context = claim, context
        self._tools, self._approvals, self._news = tools, approvals, news
        self._alone = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self._context.sessions.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._context.sessions.__aexit__(kind, error, trace)

    async def run(self, calls: Sequence[Call], move: Move) -> None:
        await self._keep(calls)  # before anything is done, it is on record what was asked for
        async with asyncio.TaskGroup() as group:
            for call in calls:
                group.create_task(self._run(call, move), name=f"tool-{call.name}")

    async def _run(self, call: Call, move: Move) -> None:
        begun: float | None = None
        try:
            came = await self._refused(call, move)
            if came is None:
                # It may have to wait for others, but from here on not for the user: his time to
                # think is not the tool's.
                move(call, Step.RUNNING, "", None)
                begun = time.monotonic()
                await self._keep([call])  # after a crash it is known that it may have had effects
                came = await self._result(call)
            step, result = came
        except ToolFailed as failure:
            step, result = Step.FAILED, str(failure)
        except Exception:
            # Not its words: they may hold what no page should show.
            logger.exception("tool_crashed", tool=call.name)
            step, result = Step.FAILED, "The tool failed."
        took_ms = None if begun is None else round((time.monotonic() - begun) * 1000, 1)
        move(call, step, _bounded(result), took_ms)
        await self._keep([call])

    async def _refused(self, call: Call, move: Move) -> tuple[Step, str] | None:
        """Why it is not run; None when it is."""
        tool = self._tools.get(call.name)
        if call.problem or call.parsed is None:
            return Step.INVALID, call.problem
        if tool is None:
            names = ", ".join(sorted(self._tools))
            return Step.INVALID, f"There is no tool {call.name!r}. There are: {names}."
        try:
            tool.check(call.parsed)
        except InvalidArguments as error:
            return Step.INVALID, f"The arguments do not fit:\n{error}"
        if call.name in self._approvals and not await self._is_approved(call, move):
            return Step.DENIED, "The user did not allow this call."
        return None

    async def _result(self, call: Call) -> tuple[Step, str]:
        tool = self._tools[call.name]
        if tool.parallel:
            return await self._call(tool, call)
        async with self._alone:
            return await self._call(tool, call)

    async def _call(self, tool: Tool, call: Call) -> tuple[Step, str]:
        assert call.parsed is not None
        try:
            async with asyncio.timeout(tool.timeout_s):
                return Step.DONE, await tool.run(call.parsed, self._context)
        except TimeoutError:
            return Step.FAILED, f"The tool did not finish within {tool.timeout_s:g} s."

    async def _is_approved(self, call: Call, move: Move) -> bool:
        """Ask the user, and wait; nobody's answer is No after ``TOOL_APPROVAL_TIMEOUT``."""
        self.waiting += 1
        try:
            async with asyncio.timeout(settings.TOOL_APPROVAL_TIMEOUT):
                # On record first: only a row that waits can be decided on.
                call.step = Step.WAITING
                while not await self._keep([call]):  # noqa: ASYNC110
                    await asyncio.sleep(LOOK_S)
                move(call, Step.WAITING, "", None)
                while not (decision := await self._decision(call)):
                    try:
                        async with asyncio.timeout(LOOK_S):
                            await self._news.wait()
                    except TimeoutError:
                        pass
        except TimeoutError:
            return False
        finally:
            self.waiting -= 1
        return decision == Decision.APPROVED

    async def _decision(self, call: Call) -> str:
        try:
            return await in_database(record.decision, self._claim.message_id, call.number)
        except DatabaseError as error:
            logger.warning("decision_unknown", error=type(error).__name__)
            return ""

    async def _keep(self, calls: Sequence[Call]) -> bool:
        """On record now, as far as the database is there; with the reply at the latest.

        Does not return once the claim is lost: nothing more is run or asked for a reply that is
        somebody else's, and the patrol is about to cancel this one.
        """
        try:
            kept = await in_database(record.keep_claimed, self._claim, calls)
        except DatabaseError as error:
            logger.warning("call_not_kept", error=type(error).__name__)
            return False
        if not kept:
            logger.warning("call_refused", generation=self._claim.generation_id)
            await asyncio.get_running_loop().create_future()
        return True


def open_box(
    claim: record.Claim,
    user_id: int,
    conversation_id: UUID,
    tools: Sequence[Tool],
    approvals: frozenset[str],
    news: asyncio.Event,
) -> Box:
    context = Context(user_id, conversation_id, Sessions())
    return Box(claim, context, {tool.name: tool for tool in tools}, approvals, news)


def _bounded(result: str) -> str:
    text = well_formed(result)
    if len(text) <= RESULT_CHARS:
        return text
    return f"{text[:RESULT_CHARS]}\n[cut: {len(text):,} characters in all]"
