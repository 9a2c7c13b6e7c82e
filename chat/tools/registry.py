"""Which tools there are: the built-in ones, and those of the servers that are configured."""

from chat.models import ToolServer
from chat.tools.base import Context, InvalidArguments, Tool, ToolFailed
from chat.tools.calculator import calculator
from chat.tools.conversations import search_conversations
from chat.tools.dates import current_time, date_arithmetic
from chat.tools.functions import Arguments, FunctionTool, tool
from chat.tools.page import fetch_page
from chat.tools.servers.tools import tools_of

__all__ = [
    "Arguments",
    "Context",
    "FunctionTool",
    "InvalidArguments",
    "Tool",
    "ToolFailed",
    "available",
    "built_in",
    "tool",
]

BUILT_IN = (current_time, date_arithmetic, calculator, search_conversations, fetch_page)


def built_in() -> dict[str, Tool]:
    """The tools that come with Parley and that this installation offers, by name."""
    return {one.name: one for one in BUILT_IN if one.offered()}


def available() -> dict[str, Tool]:
    """All tools by name; those of servers as they were last listed. Uses the database."""
    found = built_in()
    for server in ToolServer.objects.filter(enabled=True).order_by("name"):
        for one in tools_of(server):
            found.setdefault(one.name, one)
    return found
