"""OpenAI's moderation endpoint, through the provider's SDK and with its key."""

from collections.abc import Iterator
from itertools import islice

from chat.engine.errors import ProviderError
from chat.engine.provider import Provider
from chat.engine.wellformed import well_formed
from chat.moderation.base import ModerationUnavailable, ModerationUnclear, Result, joined

MODEL = "omni-moderation-latest"
NOTED_AT = 0.01
# The endpoint refuses, or cuts unseen, what is longer than its model's context.
PIECE_CHARS = 32_000
OVERLAP_CHARS = 400
MOST_PIECES = 40
MOST_CATEGORIES = 200
NAME_CHARS = 60


class OpenAIBackend:
    name = "openai"
    version = ""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def moderate(self, text: str) -> Result:
        """Raises ModerationUnavailable whatever went wrong: an error is never a pass."""
        pieces = list(_pieces(text))
        if len(pieces) > MOST_PIECES:
            raise ModerationUnclear("the text is too long for the endpoint")
        return joined([(at, await self._judge(piece)) for at, piece in pieces])

    async def _judge(self, text: str) -> Result:
        try:
            answer = await self._provider.moderations(text, MODEL)
        except ProviderError as error:
            raise ModerationUnavailable(error.kind) from error
        flagged, scores = answer.get("flagged"), answer.get("category_scores")
        objected = answer.get("categories")
        if not isinstance(flagged, bool) or not isinstance(scores, dict):
            raise ModerationUnavailable("garbled")
        if not isinstance(objected, dict):
            raise ModerationUnavailable("garbled")
        named = islice(objected.items(), MOST_CATEGORIES)
        hits = tuple(_name(name) for name, value in named if value is True)
        if flagged and not hits:
            hits = ("flagged",)  # it objects, and does not say to what
        found = {
            _name(category): round(float(score), 4)
            for category, score in islice(scores.items(), MOST_CATEGORIES)
            if isinstance(score, int | float) and NOTED_AT <= score <= 1
        }
        return Result(
            backend=self.name,
            model=well_formed(str(answer["model"]))[:200],
            version=self.version,
            flagged=bool(hits),
            categories=found,
            hits=hits,
        )


def _name(category: object) -> str:
    """A category as every database takes it, whatever the service calls it."""
    return well_formed(str(category))[:NAME_CHARS]


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    step = PIECE_CHARS - OVERLAP_CHARS
    for start in range(0, max(1, len(text) - OVERLAP_CHARS), step):
        yield start, text[start : start + PIECE_CHARS]
