"""Links between the admin's pages of what belongs together."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models import Model
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from chat.models import Conversation


def url_of(model: type[Model], pk: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[pk])


def link(obj: Model, text: Any = None) -> SafeString:
    """A link to the object's own page, named as given or as the object names itself."""
    return format_html('<a href="{}">{}</a>', url_of(type(obj), obj.pk), text or obj)


def links(objects: Iterable[Model]) -> str:
    return format_html_join(", ", "{}", ([link(obj)] for obj in objects)) or "–"


def transcript_url(conversation_id: UUID, message_id: int | None = None) -> str:
    """The conversation's transcript, at a message: on whichever of its pages that stands."""
    url = url_of(Conversation, conversation_id)
    return url if message_id is None else f"{url}?at={message_id}#message-{message_id}"
