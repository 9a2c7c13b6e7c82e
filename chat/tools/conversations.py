"""Search in what the user and the assistant said before."""

import json

from django.conf import settings
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext_lazy as _
from pydantic import Field

from chat.engine.wellformed import well_formed
from chat.models import Action, Conversation, Message, Role, Verdict, VerdictState
from chat.tools.base import Context, ToolFailed
from chat.tools.functions import Arguments, tool

WORDS = 8
MOST = 10
# So many messages are read at most: a conversation that says a word often gives one result.
READ = 60
BEFORE_CHARS, EXCERPT_CHARS = 80, 300


class Search(Arguments):
    query: str = Field(
        min_length=2, max_length=200, description="words that one message must all contain"
    )
    limit: int = Field(5, ge=1, le=MOST, description="the most conversations to return")


@tool(_("Search my conversations"), database=True)
def search_conversations(arguments: Search, context: Context) -> str:
    """Search the user's earlier conversations. Returns title, date and excerpt, newest first."""
    words = well_formed(arguments.query).split()
    if not 0 < len(words) <= WORDS:
        raise ToolFailed(f"Give one to {WORDS} words.")
    # The same door as the pages: own and not deleted. What was withheld stays withheld, and what
    # the policy keeps from a model is not told to one by this way.
    kept_back = Q(state=VerdictState.FLAGGED, action=Action.STOP)
    if settings.MODERATION_FAIL == "closed":
        kept_back |= Q(state__in=(VerdictState.PENDING, VerdictState.ERROR))
    stopped = Verdict.objects.filter(kept_back, message=OuterRef("pk"))
    mine = Conversation.objects.present().filter(owner_id=context.user_id, owner__is_active=True)
    messages = Message.objects.filter(
        ~Exists(stopped),
        conversation__in=mine.exclude(pk=context.conversation_id),
        role__in=(Role.USER, Role.ASSISTANT),
        withheld_at=None,
    )
    for word in words:
        messages = messages.filter(_contains(word))
    found: dict[object, dict[str, str]] = {}
    newest = messages.select_related("conversation").order_by("-pk")[:READ]
    for message in newest.iterator(chunk_size=MOST):
        if message.conversation_id not in found:
            found[message.conversation_id] = {
                "title": str(message.conversation),
                "date": message.created_at.date().isoformat(),
                "said_by": message.role,
                "excerpt": excerpt(message.text, words[0]),
            }
        if len(found) == arguments.limit:
            break
    return json.dumps(list(found.values()), ensure_ascii=False)


def _contains(word: str) -> Q:
    condition = Q(text__icontains=word)
    if not word.isascii():  # SQLite folds the case of ASCII only
        for form in {word.lower(), word.upper(), word.capitalize()}:
            condition |= Q(text__icontains=form)
    return condition


def excerpt(text: str, word: str) -> str:
    """A line of the text around the word."""
    at = max(text.lower().find(word.lower()), 0)
    start = max(at - BEFORE_CHARS, 0)
    piece = " ".join(text[start : start + EXCERPT_CHARS].split())
    return ("… " if start else "") + piece + (" …" if start + EXCERPT_CHARS < len(text) else "")
