"""What is stored: people, conversations, generations, and the record made of them."""

from chat.models.api import ApiKey, Scope
from chat.models.assistants import Assistant, AssistantVersion, ToolChoice, Visibility
from chat.models.conversation import Conversation, Message, Role, next_revision
from chat.models.custody import AccessEntry, AccessKind, AppendOnly, LegalHold, Tombstone
from chat.models.generation import (
    Generation,
    IllegalTransition,
    Purpose,
    State,
    Timeline,
    Transport,
)
from chat.models.moderation import (
    Action,
    Direction,
    ModerationRule,
    PolicyRule,
    Receipt,
    RuleKind,
    SchemaVerdict,
    Verdict,
    VerdictState,
)
from chat.models.people import Invitation, User
from chat.models.review import (
    Complaint,
    DecisionKind,
    Feedback,
    Opinion,
    Redaction,
    Report,
    ReviewDecision,
    ReviewItem,
    ReviewState,
)
from chat.models.tools import CallState, Decision, ServerTransport, ToolCall, ToolServer
from chat.models.usage import Usage

__all__ = [
    "AccessEntry",
    "AccessKind",
    "Action",
    "ApiKey",
    "AppendOnly",
    "Assistant",
    "AssistantVersion",
    "CallState",
    "Complaint",
    "Conversation",
    "Decision",
    "DecisionKind",
    "Direction",
    "Feedback",
    "Generation",
    "IllegalTransition",
    "Invitation",
    "LegalHold",
    "Message",
    "ModerationRule",
    "Opinion",
    "PolicyRule",
    "Purpose",
    "Receipt",
    "Redaction",
    "Report",
    "ReviewDecision",
    "ReviewItem",
    "ReviewState",
    "Role",
    "RuleKind",
    "SchemaVerdict",
    "Scope",
    "ServerTransport",
    "State",
    "Timeline",
    "Tombstone",
    "ToolCall",
    "ToolChoice",
    "ToolServer",
    "Transport",
    "Usage",
    "User",
    "Verdict",
    "VerdictState",
    "Visibility",
    "next_revision",
]
