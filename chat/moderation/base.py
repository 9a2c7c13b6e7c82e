"""What every moderation backend gives and raises. Knows no Django.

ModerationUnavailable
    The service cannot answer now (network, rate limit, 5xx). The verdict stays pending and the
    sweeper asks again. Anything else that a backend raises is a bug.
"""

from dataclasses import dataclass
from typing import Protocol


class ModerationUnavailable(Exception):
    """The backend cannot answer now; ask again later."""


@dataclass(frozen=True, slots=True)
class Result:
    """One backend's opinion of one text.

    `categories` maps a name (OpenAI's names, and "profanity") to a score of 0..1 and holds only
    the non-zero ones. A category may be present and the text not flagged: weak evidence.
    """

    backend: str
    model: str
    version: str
    flagged: bool
    categories: dict[str, float]


class Backend(Protocol):
    name: str

    async def moderate(self, text: str) -> Result:
        """Raises ModerationUnavailable when the service cannot answer."""
        ...
