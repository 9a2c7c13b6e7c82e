"""Who works on an item of the queue."""

from chat.models import ReviewItem, User
from chat.review.who import may_review


class NotAReviewer(Exception):
    """Items go to people who may decide on them."""


class OwnConversation(Exception):
    """Nobody decides on a conversation of his own."""


def assign(item: ReviewItem, to: User | None, *, hidden: bool = False) -> None:
    """Give the item to a reviewer, or back to all.

    Where it is ``hidden`` from who assigns who wrote, the writer is not refused here: that would
    tell. He is when he decides.

    Raises:
        NotAReviewer
        OwnConversation
    """
    if to is not None and not may_review(to):
        raise NotAReviewer
    if to is not None and not hidden and _is_own(item, to):
        raise OwnConversation
    ReviewItem.objects.filter(pk=item.pk).update(assignee=to)


def take(item: ReviewItem, reviewer: User) -> bool:
    """Take an item that nobody has; False when somebody was faster.

    Raises:
        OwnConversation
    """
    if _is_own(item, reviewer):
        raise OwnConversation
    return bool(ReviewItem.objects.filter(pk=item.pk, assignee=None).update(assignee=reviewer))


def _is_own(item: ReviewItem, reviewer: User) -> bool:
    return item.message.conversation.owner_id == reviewer.pk
