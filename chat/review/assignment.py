"""Who works on an item of the queue."""

from chat.models import ReviewItem, User
from chat.review.who import may_review


class NotAReviewer(Exception):
    """Items go to people who may decide on them."""


class OwnConversation(Exception):
    """Nobody decides on a conversation of his own."""


class Gone(Exception):
    """It has left the queue meanwhile: nothing is held against the message any more."""


def assign(item: ReviewItem, to: User | None, *, hidden: bool = False) -> None:
    """Give the item to a reviewer, or back to all.

    Where it is ``hidden`` from who assigns who wrote, the writer is not refused here: that would
    tell. He is when he decides.

    Raises:
        NotAReviewer
        OwnConversation
        Gone
    """
    if to is not None and not may_review(to):
        raise NotAReviewer
    if to is not None and not hidden and _is_own(item, to):
        raise OwnConversation
    if not ReviewItem.objects.filter(pk=item.pk).update(assignee=to):
        raise Gone


def take(item: ReviewItem, reviewer: User) -> bool:
    """Take an item that nobody has; False when somebody was faster.

    Raises:
        OwnConversation
        Gone
    """
    if _is_own(item, reviewer):
        raise OwnConversation
    rows = ReviewItem.objects.filter(pk=item.pk)
    if rows.filter(assignee=None).update(assignee=reviewer):
        return True
    if not rows.exists():
        raise Gone
    return False


def _is_own(item: ReviewItem, reviewer: User) -> bool:
    return item.message.conversation.owner_id == reviewer.pk
