"""Ask a moderation backend; what a remote one has taken goes to the ledger, verdict or not."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from django.db import Error, transaction

from chat import ledger
from chat.database import in_database
from chat.engine.errors import ProviderError
from chat.engine.provider import Provider
from chat.engine.tally import Tally, tallied
from chat.models import State
from chat.moderation.base import ModerationUnavailable, Result, Unclear, ask
from chat.policy import Current

logger = structlog.get_logger()

UNAVAILABLE, UNCLEAR = "unavailable", "unclear"


@dataclass(frozen=True, slots=True)
class Bill:
    """What a remote backend has taken for one text, at the expense of the user whose it is."""

    user_id: int
    spent: Tally
    state: State
    error_kind: str


async def ask_metered(
    name: str, text: str, direction: str, current: Current, provider: Provider, user_id: int
) -> Result | Unclear:
    """The opinion of the backend of this name, at the expense of the user whose text it is.

    Raises:
        ModerationUnavailable: ask again later.
    """
    bills: list[Bill] = []
    try:
        return await ask_billed(name, text, direction, current, provider, user_id, bills.append)
    finally:
        await pay(bills)


async def ask_billed(
    name: str,
    text: str,
    direction: str,
    current: Current,
    provider: Provider,
    user_id: int,
    bill: Callable[[Bill], object],
) -> Result | Unclear:
    """The same without the database: what it took is handed to ``bill``, however it ends.

    A backend that is down is asked again and again, and a call that it refused took nothing: such
    an attempt has no bill. One that nobody waited for may have been paid for.

    Raises:
        ModerationUnavailable: ask again later.
    """
    state, kind, is_down = State.INTERRUPTED, "", False  # unless it comes to an end
    with tallied() as spent:
        try:
            found = await ask(current.backend(name, direction, provider), text)
            state = State.FAILED if isinstance(found, Unclear) else State.COMPLETE
            kind = UNCLEAR if isinstance(found, Unclear) else ""
        except ModerationUnavailable as error:
            cause = error.__cause__
            state, is_down = State.FAILED, True
            kind = cause.kind if isinstance(cause, ProviderError) else UNAVAILABLE
            raise
        finally:
            has_tokens = spent.prompt_tokens or spent.completion_tokens
            if spent.calls and (has_tokens or not is_down):
                bill(Bill(user_id, spent, state, kind))
    return found


async def pay(bills: Sequence[Bill]) -> None:
    """Whoever waits may be cancelled; what was paid for is entered all the same."""
    if bills:
        await asyncio.shield(asyncio.ensure_future(in_database(enter, bills)))


def enter(bills: Sequence[Bill]) -> None:
    """Into the ledger. Synchronous."""
    for bill in bills:
        try:
            with transaction.atomic():  # the caller's goes on if this fails
                ledger.enter_moderation(bill.user_id, bill.spent, bill.state, bill.error_kind)
        except Error as error:
            # The verdict matters more. Whoever writes it down next finds the database away himself.
            logger.warning("usage_not_kept", error=type(error).__name__)
