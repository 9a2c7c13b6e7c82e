"""Generations: how each reply and each title came about."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from chat.admin import search
from chat.admin.filters import (
    CameFilter,
    DateFilter,
    DeletedFilter,
    ErrorFilter,
    ModelFilter,
    PurposeFilter,
    ReconciledFilter,
    SchemaFilter,
    StateFilter,
    UserFilter,
    VerdictFilter,
)
from chat.admin.links import link
from chat.admin.readonly import ReadOnlyAdmin, exactly, lasting, when
from chat.models import Conversation, ErrorKind, Generation
from chat.review import badges, facts
from chat.review.units import count, duration, plain, rate

CREATED = when("created_at", _("created"))
MOMENTS = (
    exactly("created_at", _("created")),
    exactly("requested_at", _("requested")),
    exactly("heartbeat_at", _("last heartbeat")),
    exactly("finished_at", _("finished")),
    exactly("reconciled_at", _("reconciled")),
)
DURATIONS = (
    lasting("ttft_provider_ms", _("TTFT, provider")),
    lasting("ttft_served_ms", _("TTFT, served")),
    lasting("thinking_ms", _("thinking time")),
    lasting("writing_ms", _("writing time")),
)


@admin.register(Generation)
class GenerationAdmin(ReadOnlyAdmin):
    list_display = (
        "number",
        CREATED,
        "marks",
        "verdict",
        "model",
        "ttft",
        "tokens_per_second",
        "tokens",
        "user",
        "place",
        "aim",
    )
    list_filter = (
        StateFilter,
        ErrorFilter,
        VerdictFilter,
        SchemaFilter,
        CameFilter,
        PurposeFilter,
        ReconciledFilter,
        DeletedFilter,
        UserFilter,
        ModelFilter,
        DateFilter,
    )
    list_select_related = ("conversation__owner", "receipt")
    ordering = ("-pk",)
    search_help_text = _("Model, request id, text, conversation's title, user, or an exact id")
    fieldsets = (
        (None, {"fields": ("conversation", "message", "receipt_link", "purpose")}),
        (
            _("Outcome"),
            {"fields": ("state", "finish_reason", "stop_reason", "error_kind", "error")},
        ),
        (_("Request"), {"fields": ("model", "parameters_given", "request_id", "calls", "attempt")}),
        (
            _("Times"),
            {
                "fields": (
                    *MOMENTS,
                    "claimed_by",
                    *DURATIONS,
                    "speed",
                )
            },
        ),
        (
            _("Usage"),
            {
                "fields": (
                    "prompt_tokens",
                    "completion_tokens",
                    "reasoning_tokens",
                    "tokens_estimated",
                )
            },
        ),
    )
    readonly_fields = (*MOMENTS, *DURATIONS, "receipt_link", "error", "parameters_given", "speed")
    paths = {
        "conversation": "conversation",
        "state": "state",
        "error": "error_kind",
        "verdict": "receipt__verdict",
        "schema": "receipt__schema_verdict",
        "came": "conversation__api_key",
        "purpose": "purpose",
        "reconciled": "reconciled_at",
        "deleted": "conversation__deleted_at",
        "user": "conversation__owner",
        "model": "model",
        "date": "created_at",
    }

    def rows(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.defer("error_detail", "parameters")

    def matching(self, word: str) -> Q:
        condition = (
            Q(model__icontains=word)
            | Q(request_id=word)
            | self.of_conversation(word)
            | Q(message__in=search.saying(word).values("pk"))
        )
        if number := search.exact_id(word):
            condition |= Q(pk=number) | Q(message=number)
        return condition

    def whereabouts(self, obj: Generation) -> tuple[Conversation, int | None]:
        return obj.conversation, obj.message_id

    @admin.display(description=_("state"), ordering="state")
    def marks(self, obj: Generation) -> str:
        found = [badges.badge_of(obj.state)]
        if obj.error_kind:
            found.append(badges.Badge("bad", ErrorKind.words(obj.error_kind)))
        return badges.badges(found)

    @admin.display(description=_("verdict"))
    def verdict(self, obj: Generation) -> str:
        return badges.badges(badges.verdict_badges(obj))

    @admin.display(description=_("purpose"), ordering="purpose")
    def aim(self, obj: Generation) -> str:
        return obj.get_purpose_display()

    @admin.display(description=_("TTFT"), ordering="ttft_served_ms")
    def ttft(self, obj: Generation) -> str:
        known = obj.ttft_provider_ms if obj.ttft_served_ms is None else obj.ttft_served_ms
        return duration(known) or badges.NOTHING

    @admin.display(description=_("speed"))
    def speed(self, obj: Generation) -> str:
        return rate(obj.tokens_per_second, estimated=obj.tokens_estimated) or badges.NOTHING

    @admin.display(description=_("tokens/s"))
    def tokens_per_second(self, obj: Generation) -> str:
        return badges.NOTHING if obj.tokens_per_second is None else f"{obj.tokens_per_second:.1f}"

    @admin.display(description=_("tokens"), ordering="completion_tokens")
    def tokens(self, obj: Generation) -> str:
        known = obj.completion_tokens
        return count(known, estimated=obj.tokens_estimated) or badges.NOTHING

    @admin.display(description=_("error detail"))
    def error(self, obj: Generation) -> str:
        return plain(obj.error_detail)

    @admin.display(description=_("parameters"))
    def parameters_given(self, obj: Generation) -> str:
        return facts.parameters(obj) or badges.NOTHING

    @admin.display(description=_("receipt"))
    def receipt_link(self, obj: Generation) -> str:
        receipt = getattr(obj, "receipt", None)
        return link(receipt) if receipt is not None else badges.NOTHING
