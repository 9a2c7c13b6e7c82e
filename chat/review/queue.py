"""The reviewers' queue: put there by verdicts, people's reports, sampling and redactions."""

from django.utils import timezone

from chat.models import DecisionKind, ReviewItem, ReviewState

REASONS = ("is_flagged", "is_unclear", "is_reported", "is_sampled", "is_repeat")


def put(
    message_id: int,
    *,
    flagged: bool = False,
    unclear: bool = False,
    reported: bool = False,
    sampled: bool = False,
    repeat: bool = False,
    score: float = 0.0,
) -> ReviewItem:
    """Let a message wait for a reviewer, within the caller's transaction.

    ``flagged`` by a verdict that has just been given, not by one that stood before. What was given
    as a reason stays one. An item that had been decided opens again when it is flagged or reported,
    and when it repeats what was redacted elsewhere, if it has not been removed.
    """
    item, made = ReviewItem.objects.get_or_create(
        message_id=message_id,
        defaults={
            "is_flagged": flagged,
            "is_unclear": unclear,
            "is_reported": reported,
            "is_sampled": sampled,
            "is_repeat": repeat,
            "score": score,
        },
    )
    if not made:
        removed = item.outcome == DecisionKind.UPHOLD
        news = flagged or (reported and not item.is_reported) or (repeat and not removed)
        item.is_flagged |= flagged
        item.is_unclear |= unclear
        item.is_reported |= reported
        item.is_sampled |= sampled
        item.is_repeat |= repeat
        item.score = max(item.score, score)
        if item.state == ReviewState.CLOSED and news:
            item.state, item.opened_at, item.closed_at = ReviewState.OPEN, timezone.now(), None
        # Not the assignee: somebody may be taking it.
        item.save(update_fields=[*REASONS, "score", "state", "opened_at", "closed_at"])
    return item


def withdraw(message_id: int) -> None:
    """Nothing is held against it any more: it leaves, unless a person has to do with it.

    One that somebody has taken, reported or decided on stays, and so does one that was drawn or
    repeats what was redacted.
    """
    waiting = ReviewItem.objects.filter(message_id=message_id, state=ReviewState.OPEN, outcome="")
    untouched = waiting.filter(assignee=None, decisions=None)
    to_leave = untouched.filter(is_reported=False, is_sampled=False, is_repeat=False)
    # Who takes it locks no conversation. Django deletes in two steps, the second by keys alone;
    # what somebody has taken between them would go.
    locked = to_leave.select_for_update(of=("self",)).values_list("pk", flat=True)
    ReviewItem.objects.filter(pk__in=list(locked)).delete()
