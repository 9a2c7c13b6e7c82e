"""What a call returned, as text."""

import json
from typing import TYPE_CHECKING

from chat.tools.base import ToolFailed
from chat.tools.text import result_of, squeezed, without

if TYPE_CHECKING:
    from mcp.types import CallToolResult

ERROR_CHARS = 2_000


def text_of(result: "CallToolResult", secrets: tuple[str, ...]) -> str:
    """The texts of the result, with a note for what is no text.

    Raises:
        ToolFailed: with the server's words, if it says that the call failed.
    """
    pieces: list[str] = []
    for content in result.content:
        match content.type:
            case "text":
                pieces.append(content.text)
            case "resource" if hasattr(content.resource, "text"):
                pieces.append(content.resource.text)
            case other:
                pieces.append(f"[{other.replace('_', ' ')}]")
    if not pieces and result.structuredContent is not None:
        pieces.append(json.dumps(result.structuredContent, ensure_ascii=False))
    text = without("\n".join(pieces), secrets)  # before it is cut, which may be through a secret
    if result.isError:
        raise ToolFailed(squeezed(text, ERROR_CHARS).strip() or "The tool failed.")
    return result_of(text)
