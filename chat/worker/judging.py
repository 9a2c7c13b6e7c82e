"""The verdicts on a reply that has just ended, before it is saved with them.

The backends that ask nobody are asked here. All others are asked when it is saved, which a reader
need not wait for; unless nothing may be seen unchecked (``MODERATION_FAIL=closed``): what comes
first then is the verdict, so that a reply does not go from the page and come back a moment later.
"""

import asyncio
from dataclasses import dataclass

import structlog
from django.conf import settings

from chat import answers, reconcile
from chat.asking import Bill, ask_billed, pay
from chat.engine.provider import Provider
from chat.engine.reply import Reply
from chat.models import Direction
from chat.moderation.base import ModerationUnavailable, Result, Unclear
from chat.worker.claim import Job
from chat.worker.watch import Watch

logger = structlog.get_logger()

# A service that needs longer is as good as down: the reply is withheld until it has answered.
REMOTE_S = 10.0


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdicts by backend; None leaves all of them to the sweeper.

    ``to_ask``: there are backends that nobody has asked yet.
    """

    results: dict[str, Result | Unclear] | None
    to_ask: bool = False


async def judge(
    job: Job, reply: Reply, provider: Provider, watch: Watch | None, hurry: asyncio.Event
) -> Judged:
    """``hurry``: wait for nobody any more."""
    readable = answers.readable(
        reply.text,
        job.schema,
        [(call.name, call.arguments) for call in reply.all_calls],
        reply.reasoning,
    )
    closed = settings.MODERATION_FAIL == "closed"
    try:
        results = await reconcile.moderate_at_once(readable, provider, job.text_before, job.current)
        if closed and readable and not hurry.is_set():
            results |= await _remote(job.text_before + readable, provider, job, hurry)
        if watch is not None:
            results = watch.added(results)
    except Exception:
        logger.exception("moderation_failed")  # the sweeper comes back to it
        return Judged(None)
    to_ask = reconcile.has_pending(readable, results, job.current)
    return Judged(results, to_ask and not closed)


async def _remote(
    text: str, provider: Provider, job: Job, hurry: asyncio.Event
) -> dict[str, Result | Unclear]:
    """What those say that answer in time. The ledger takes its own."""
    bills: list[Bill] = []

    async def one(name: str) -> tuple[str, Result | Unclear] | None:
        try:
            asked = Direction.OUTPUT, job.current, provider, job.owner_id
            return name, await ask_billed(name, text, *asked, bills.append)
        except ModerationUnavailable as error:
            logger.warning("moderation_unavailable", backend=name, error=str(error))
            return None

    asked = {asyncio.create_task(one(name)) for name in job.current.remote}
    hurried = asyncio.create_task(hurry.wait())
    try:
        async with asyncio.timeout(REMOTE_S):
            while not hurried.done() and not all(task.done() for task in asked):
                left = {task for task in asked if not task.done()}
                await asyncio.wait({*left, hurried}, return_when=asyncio.FIRST_COMPLETED)
    except TimeoutError:
        logger.warning("moderation_unavailable", error="too slow")
    finally:
        for task in (*asked, hurried):
            task.cancel()
        await asyncio.wait({*asked, hurried})  # they hand in what they took
        await pay(bills)
    said = [task.result() for task in asked if not task.cancelled()]
    return dict(pair for pair in said if pair is not None)
