"""Who works on an item of the queue."""

from chat.models import ReviewItem, User
from chat.review.who import may_review


class NotAReviewer(Exception):
    """Items go to people who may decide on them."""


def assign(item: ReviewItem, to: User | None) -> None:
    """Give the item to a reviewer, or back to all.

    Raises:
        NotAReviewer
    """
    if to is not None and not may_review(to):
        raise NotAReviewer
    ReviewItem.objects.filter(pk=item.pk).update(assignee=to)


def take(item: ReviewItem, reviewer: User) -> bool:
    """Take an item that nobody has; False when somebody was faster."""
    return bool(ReviewItem.objects.filter(pk=item.pk, assignee=None).update(assignee=reviewer))
