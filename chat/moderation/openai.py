"""OpenAI's moderation endpoint, through the provider's SDK and with its key."""

from chat.engine.errors import ProviderError
from chat.engine.provider import Provider
from chat.moderation.base import ModerationUnavailable, Result

MODEL = "omni-moderation-latest"


class OpenAIBackend:
    name = "openai"

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def moderate(self, text: str) -> Result:
        """Raises ModerationUnavailable whatever went wrong: an error is never a pass."""
        try:
            answer = await self._provider.moderations(text, MODEL)
        except ProviderError as error:
            raise ModerationUnavailable(error.kind) from error
        flagged, scores = answer.get("flagged"), answer.get("category_scores")
        if not isinstance(flagged, bool) or not isinstance(scores, dict):
            raise ModerationUnavailable("garbled")
        return Result(
            backend=self.name,
            model=str(answer["model"])[:200],
            version="",
            flagged=flagged,
            categories={
                str(category): round(float(score), 4)
                for category, score in scores.items()
                if isinstance(score, int | float) and score >= 0.01
            },
        )
