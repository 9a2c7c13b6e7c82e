"""What is stored: people, conversations, generations, and the record made of them."""

from chat.models.conversation import Conversation, Message, Role, next_revision
from chat.models.generation import Generation, IllegalTransition, Purpose, State
from chat.models.moderation import Receipt, Verdict, VerdictState
from chat.models.people import Invitation, User

__all__ = [
    "Conversation",
    "Generation",
    "IllegalTransition",
    "Invitation",
    "Message",
    "Purpose",
    "Receipt",
    "Role",
    "State",
    "User",
    "Verdict",
    "VerdictState",
    "next_revision",
]
