"""Assistants for tests."""

from typing import Any

from chat.models import Assistant, AssistantVersion, User


def make_assistant(owner: User, name: str = "Helper", **version: Any) -> Assistant:
    """One with a first version; ``visibility`` goes to the assistant, all else to the version."""
    assistant = Assistant.objects.create(
        owner=owner, visibility=version.pop("visibility", "private")
    )
    assistant.newest = AssistantVersion.objects.create(
        assistant=assistant, number=1, name=name, made_by=owner, **version
    )
    assistant.save()
    return assistant
