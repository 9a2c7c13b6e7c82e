"""Opening a transcript: for a purpose, which is asked once and remembered for half an hour.

In the session, for each conversation on its own. Giving the purpose writes an entry of the access
log, and so does every look.
"""

import re
import time
from typing import Any
from uuid import UUID

from django.contrib.sessions.backends.base import SessionBase

from chat.models import AccessKind, Conversation, User
from chat.record import access_log

REMEMBERED_S = 30 * 60
KEPT_MAX = 50  # conversations in a session, the newest
NUMBER = re.compile(r"[0-9]{1,18}")  # of a page or of a message
PURPOSES, IDENTITIES = "review_purposes", "review_identities"


def remember_purpose(session: SessionBase, conversation_id: UUID, purpose: str) -> None:
    _keep(session, PURPOSES, conversation_id, purpose)


def purpose_of(session: SessionBase, conversation_id: UUID) -> str:
    """For what this conversation was opened; empty when that has to be asked."""
    return str(_kept(session, PURPOSES).get(str(conversation_id), ("", 0))[0])


def look(
    reviewer: User, conversation: Conversation, purpose: str, **numbers: int | str | None
) -> None:
    """Write down that the transcript is shown now. Before anything of it is.

    ``numbers`` say which part. They may come from an address, which can say anything; the log
    stays, so what is no number is left out.
    """
    detail = {name: int(str(n)) for name, n in numbers.items() if NUMBER.fullmatch(str(n))}
    access_log.note(
        reviewer,
        AccessKind.TRANSCRIPT,
        conversation=conversation,
        purpose=purpose,
        detail=detail,
    )


def reveal(session: SessionBase, reviewer: User, conversation: Conversation) -> None:
    """Let the reviewer see who wrote this conversation; an entry says so."""
    purpose = purpose_of(session, conversation.pk)
    access_log.note(reviewer, AccessKind.IDENTITY, conversation=conversation, purpose=purpose)
    _keep(session, IDENTITIES, conversation.pk, "")


def is_revealed(session: SessionBase, conversation_id: UUID) -> bool:
    return str(conversation_id) in _kept(session, IDENTITIES)


def _keep(session: SessionBase, name: str, conversation_id: UUID, what: str) -> None:
    kept = _kept(session, name)
    kept.pop(str(conversation_id), None)
    kept[str(conversation_id)] = [what, time.time() + REMEMBERED_S]
    session[name] = dict(list(kept.items())[-KEPT_MAX:])


def _kept(session: SessionBase, name: str) -> dict[str, Any]:
    now = time.time()
    return {key: value for key, value in session.get(name, {}).items() if value[1] > now}
