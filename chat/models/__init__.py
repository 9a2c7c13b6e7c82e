"""What is stored: people, conversations, generations, and the record made of them."""

from chat.models.api import ApiKey, Scope
from chat.models.assistants import Assistant, AssistantVersion, ToolChoice, Visibility
from chat.models.conversation import Conversation, Message, Role, next_revision
from chat.models.generation import Generation, IllegalTransition, Purpose, State
from chat.models.moderation import Receipt, SchemaVerdict, Verdict, VerdictState
from chat.models.people import Invitation, User
from chat.models.tools import CallState, Decision, ToolCall, ToolServer, Transport

__all__ = [
    "ApiKey",
    "Assistant",
    "AssistantVersion",
    "CallState",
    "Conversation",
    "Decision",
    "Generation",
    "IllegalTransition",
    "Invitation",
    "Message",
    "Purpose",
    "Receipt",
    "Role",
    "SchemaVerdict",
    "Scope",
    "State",
    "ToolCall",
    "ToolChoice",
    "ToolServer",
    "Transport",
    "User",
    "Verdict",
    "VerdictState",
    "Visibility",
    "next_revision",
]
