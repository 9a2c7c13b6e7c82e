"""Content that is no plain string → what it says, as what. Pure.

A number (Cloudflare's Workers AI for a token that is one), a part, a list of parts: text, thinking
as a string or again in parts (Mistral), reasoning with a summary (Databricks, OpenRouter's
``reasoning_details``), a refusal. What holds no words, such as a picture, is passed over.
"""

from collections.abc import Iterator
from typing import Any

from chat.engine.events import ReasoningDelta, RefusalDelta, TextDelta
from chat.engine.speech import Said


def parts(content: Any) -> Iterator[tuple[Said, str]]:
    """What a message's content says."""
    if isinstance(content, list):
        for part in content:
            yield from parts(part)
    elif isinstance(content, dict):
        if str(content.get("type")).startswith(("thinking", "reasoning")):
            yield ReasoningDelta, thought(content)
        elif isinstance(refusal := content.get("refusal"), str):
            yield RefusalDelta, refusal
        else:
            yield TextDelta, _words(content.get("text"))
    elif isinstance(content, str):
        yield TextDelta, content
    elif isinstance(content, int | float) and not isinstance(content, bool):
        yield TextDelta, str(content)


def thought(part: Any) -> str:
    """The words of a part, or a list of parts, that is known to be thinking."""
    if isinstance(part, list):
        return "".join(thought(each) for each in part)
    if not isinstance(part, dict):
        return ""
    return _words(part.get("thinking") or part.get("text") or part.get("summary"))


def _words(text: Any) -> str:
    """A string, also one that is wrapped or cut into parts."""
    if isinstance(text, list):
        return "".join(_words(part) for part in text if isinstance(part, dict))
    if isinstance(text, dict):
        return _words(text.get("text") or text.get("value"))
    return text if isinstance(text, str) else ""
