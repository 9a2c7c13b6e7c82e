"""The ledger: a row for every generation that has ended, and for every text judged remotely.

A row is entered in the transaction that reconciles its generation, so neither is without the other.
Times that come from outside (the first fragment sent, the first text painted) may come before the
end or after it: they go to the generation, and to its row in the ledger if it is there already.
"""

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from chat.engine.tally import Tally
from chat.models import Generation, PaidFor, Purpose, State, Transport, Usage
from chat.models.generation import TERMINAL

TOKENS_PRICED = 1_000_000
BATCH = 100

# Plain SQL, because every reply does it while others are written: RETURNING says whether there is a
# row in the ledger yet, and the lock on the generation's row that nobody enters it meanwhile.
SERVED = """
UPDATE chat_generation SET ttft_served_ms = %s, transport = %s
WHERE id = %s AND ttft_served_ms IS NULL RETURNING reconciled_at
"""
PERCEIVED = """
UPDATE chat_generation SET ttft_perceived_ms = %s
WHERE id = %s AND ttft_perceived_ms IS NULL RETURNING reconciled_at
"""


def enter(generation: Generation) -> None:
    """Enter a generation that has ended, once; within the transaction that reconciles it.

    ``generation`` was read in this transaction, with its conversation.
    """
    row = Usage(
        generation_id=generation.pk,
        user_id=generation.conversation.owner_id,
        ended_at=generation.finished_at or timezone.now(),
        purpose=generation.purpose,
        model=generation.model,
        transport=generation.transport,
        state=generation.state,
        stop_reason=generation.stop_reason,
        error_kind=generation.error_kind,
        calls=generation.calls,
        prompt_tokens=generation.prompt_tokens or 0,
        completion_tokens=generation.completion_tokens or 0,
        tokens_estimated=generation.tokens_estimated,
        cost=cost(generation.model, generation.prompt_tokens, generation.completion_tokens),
        ttft_provider_ms=generation.ttft_provider_ms,
        ttft_served_ms=generation.ttft_served_ms,
        ttft_perceived_ms=generation.ttft_perceived_ms,
        inter_token_p95_ms=generation.inter_token_p95_ms,
        tokens_per_second=generation.tokens_per_second,
    )
    Usage.objects.bulk_create([row], ignore_conflicts=True)


def enter_moderation(user_id: int, spent: Tally, state: State, error_kind: str) -> None:
    """Enter what a remote backend took for one text, at the expense of its writer."""
    tokens = spent.prompt_tokens, spent.completion_tokens
    Usage.objects.create(
        user_id=user_id,
        ended_at=timezone.now(),
        purpose=PaidFor.MODERATION,
        model=spent.model[:200],
        state=state,
        error_kind=error_kind,
        calls=spent.calls,
        prompt_tokens=tokens[0],
        completion_tokens=tokens[1],
        cost=cost(spent.model, *tokens),
    )


def cost(model: str, prompt_tokens: int | None, completion_tokens: int | None) -> Decimal | None:
    """By the model's price at this moment; None when it has none."""
    price = settings.MODEL_PRICES.get(model)
    if price is None:
        return None
    per_input, per_output = price
    total = (prompt_tokens or 0) * per_input + (completion_tokens or 0) * per_output
    return Decimal(total / TOKENS_PRICED).quantize(Decimal("0.000001"))


def enter_titles() -> int:
    """Reconcile and enter the titles whose worker died; returns how many there were."""
    titles = Generation.objects.filter(purpose=Purpose.TITLE, state__in=TERMINAL)
    ended = titles.filter(reconciled_at=None).select_related("conversation")
    entered = 0
    for generation in ended[:BATCH]:
        with transaction.atomic():
            rows = Generation.objects.filter(pk=generation.pk, reconciled_at=None)
            if rows.update(reconciled_at=timezone.now()):
                enter(generation)
                entered += 1
    return entered


def keep_served(generation_id: int, milliseconds: float, transport: Transport) -> None:
    """The served TTFT of the first who had a fragment, and how it went to him."""
    fields = {"ttft_served_ms": round(milliseconds, 3), "transport": transport.value}
    _keep(SERVED, generation_id, fields)


def keep_perceived(generation_id: int, milliseconds: float) -> bool:
    """The perceived TTFT, as a browser measured it; False when it is known already."""
    return _keep(PERCEIVED, generation_id, {"ttft_perceived_ms": round(milliseconds, 3)})


def _keep(update: str, generation_id: int, fields: dict[str, Any]) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(update, [*fields.values(), generation_id])
        row = cursor.fetchone()
    if row is None:
        return False
    if row[0] is not None:
        Usage.objects.filter(generation_id=generation_id).update(**fields)
    return True
