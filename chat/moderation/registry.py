"""The moderation backends by name: ``MODERATION_BACKENDS`` says which of them see every message.

The operator's rules are not here: they apply when there are any, see ``chat.policy``.
"""

from collections.abc import Callable

from django.conf import settings

from chat.engine.provider import Provider
from chat.moderation.base import Backend
from chat.moderation.judge import JudgeBackend
from chat.moderation.local import LocalBackend
from chat.moderation.openai import OpenAIBackend

# They ask nobody: no network, and milliseconds. All others may be down.
AT_ONCE = frozenset({"local", "rules"})


def _judge(provider: Provider) -> Backend:
    model = settings.MODERATION_JUDGE_MODEL or next(iter(settings.CHAT_MODELS), "")
    return JudgeBackend(provider, model)


REGISTRY: dict[str, Callable[[Provider], Backend]] = {
    "local": lambda provider: LocalBackend(),
    "openai": OpenAIBackend,
    "judge": _judge,
}


def backend(name: str, provider: Provider) -> Backend:
    """The backend of this name.

    Raises:
        KeyError: there is none.
    """
    return REGISTRY[name](provider)
