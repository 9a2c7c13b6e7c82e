"""A ticket for a conversation that is not written yet.

``/`` shows a page with an id of its own and its socket already open, but makes no row: the first
message does. The ticket proves that this user was given this id, so that a socket or a message for
any other unknown id gets the stranger's answer.
"""

from uuid import UUID

from django.core import signing

SALT = "chat.new-conversation"


def issue(user_id: int, conversation_id: UUID) -> str:
    return signing.Signer(salt=SALT).sign_object([user_id, conversation_id.hex])


def is_valid(ticket: str, user_id: int, conversation_id: UUID) -> bool:
    try:
        content = signing.Signer(salt=SALT).unsign_object(ticket)
    except (signing.BadSignature, ValueError):
        return False
    return bool(content == [user_id, conversation_id.hex])
