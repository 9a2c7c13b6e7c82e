"""The reviewers' queue: put there by verdicts, by people's reports, and by sampling."""

from django.utils import timezone

from chat.models import ReviewItem, ReviewState

REASONS = ("is_flagged", "is_unclear", "is_reported", "is_sampled")


def put(
    message_id: int,
    *,
    flagged: bool = False,
    unclear: bool = False,
    reported: bool = False,
    sampled: bool = False,
    score: float = 0.0,
) -> ReviewItem:
    """Let a message wait for a reviewer, within the caller's transaction.

    ``flagged`` by a verdict that has just been given, not by one that stood before. What was given
    as a reason stays one. An item that had been decided opens again when it is flagged or reported.
    """
    item, made = ReviewItem.objects.get_or_create(
        message_id=message_id,
        defaults={
            "is_flagged": flagged,
            "is_unclear": unclear,
            "is_reported": reported,
            "is_sampled": sampled,
            "score": score,
        },
    )
    if not made:
        news = flagged or (reported and not item.is_reported)
        item.is_flagged |= flagged
        item.is_unclear |= unclear
        item.is_reported |= reported
        item.is_sampled |= sampled
        item.score = max(item.score, score)
        if item.state == ReviewState.CLOSED and news:
            item.state, item.opened_at, item.closed_at = ReviewState.OPEN, timezone.now(), None
        # Not the assignee: somebody may be taking it.
        item.save(update_fields=[*REASONS, "score", "state", "opened_at", "closed_at"])
    return item


def withdraw(message_id: int) -> None:
    """Nothing is held against it any more: it leaves, unless a person has to do with it.

    One that somebody has taken, reported or decided on stays, and so does one that was drawn.
    """
    waiting = ReviewItem.objects.filter(message_id=message_id, state=ReviewState.OPEN, outcome="")
    waiting.filter(assignee=None, decisions=None, is_reported=False, is_sampled=False).delete()
