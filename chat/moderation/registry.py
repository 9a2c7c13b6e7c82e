"""The moderation backends by name: ``MODERATION_BACKENDS`` says which of them see every reply."""

from collections.abc import Callable

from chat.engine.provider import Provider
from chat.moderation.base import Backend
from chat.moderation.local import LocalBackend
from chat.moderation.openai import OpenAIBackend

REGISTRY: dict[str, Callable[[Provider], Backend]] = {
    "local": lambda provider: LocalBackend(),
    "openai": OpenAIBackend,
}


def backend(name: str, provider: Provider) -> Backend:
    """The backend of this name.

    Raises:
        KeyError: there is none.
    """
    return REGISTRY[name](provider)
