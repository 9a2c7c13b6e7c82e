"""What a conversation is called in lists, to who has not opened it.

Until a model or its owner has named it, its title is the first words that were written in it. Those
are for who has said what for.
"""

from collections.abc import Iterable
from uuid import UUID

from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Substr
from django.utils.translation import gettext as _

from chat.models import Conversation, Generation, Message, Purpose, Role, State

COMPARED_CHARS = 1_000  # of a message, with all its white space; titles have 120
_BY_MODEL = Generation.objects.filter(
    conversation=OuterRef("pk"), purpose=Purpose.TITLE, state=State.COMPLETE
)
# The API counts a title as its user's, but makes it of what was said.
_BY_OWNER = Q(titled_by_user=True, api_key=None)


def public_titles(conversations: Iterable[Conversation]) -> dict[UUID, str]:
    """By the conversations' ids; two queries."""
    given = {conversation.pk: conversation for conversation in conversations}
    rows = Conversation.objects.filter(_BY_OWNER | Exists(_BY_MODEL), pk__in=given)
    named = set(rows.values_list("pk", flat=True))
    named -= _copied([c for pk, c in given.items() if pk in named and not c.titled_by_user])
    return {
        pk: (conversation.shown_title if pk in named else "") or _of_day(conversation)
        for pk, conversation in given.items()
    }


def _copied(named: list[Conversation]) -> set[UUID]:
    """Those whose title is the beginning of a message all the same.

    A title that was erased, because what it was made of was withheld or removed, is made of what is
    written next.
    """
    begins = Q(pk__in=())
    for conversation in named:
        word = conversation.title.strip().partition(" ")[0].rstrip("…")
        begins |= Q(conversation=conversation.pk, text__startswith=word)
    said = Message.objects.filter(begins, role=Role.USER)
    titles = {conversation.pk: conversation.title for conversation in named}
    return {
        pk
        for pk, text in said.values_list("conversation", Substr("text", 1, COMPARED_CHARS))
        if _is_beginning(titles[pk], " ".join(text.split()))
    }


def _is_beginning(title: str, text: str) -> bool:
    return title == text or (title.endswith("…") and text.startswith(title[:-1].rstrip()))


def _of_day(conversation: Conversation) -> str:
    day = conversation.created_at.date().isoformat()
    return _("Conversation of %(day)s") % {"day": day}
