"""A stored conversation → HTML: the context that the page and every live fragment share."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from chat.branches import can_continue
from chat.delivery.body import stored_html
from chat.delivery.calls import approvals_html, shown
from chat.delivery.frames import Fragment, caret, tail
from chat.delivery.live import ended_text, status, thought_text
from chat.delivery.times import duration
from chat.engine.events import Outcome
from chat.models import (
    Conversation,
    DecisionKind,
    Generation,
    Message,
    ReviewItem,
    ReviewState,
    Role,
    SchemaVerdict,
    State,
    ToolCall,
    VerdictState,
)
from chat.services import Readiness, readiness
from chat.tree import Tree
from chat.verdicts import MODERATION, is_blocked

LIST_LENGTH = 100  # conversations in the sidebar; older ones are found by searching


@dataclass(frozen=True, slots=True)
class Versions:
    """Which one of several messages in the same place this is, and the ids of its neighbours."""

    number: int
    total: int
    previous: int | None
    next: int | None


def message_context(message: Message, tree: Tree) -> dict[str, Any]:
    """What ``chat/_message.html`` needs of a message loaded with generation and receipt."""
    place = {"message": message, "versions": _versions(message, tree)}
    generation = getattr(message, "generation", None)
    if message.role != Role.ASSISTANT or generation is None:
        mine = message.role == Role.USER
        return {
            **place,
            "name": _speaker(message.role),
            "plain": True,
            "mine": mine,
            "withheld": message.withheld_at is not None,
            "outcome": outcome(message),
        }
    return {
        **place,
        "name": generation.assistant.name if generation.assistant else settings.ASSISTANT_NAME,
        "continues": tree.continues(message.pk),
        "can_continue": can_continue(message),
        "generation": generation,
        "state": generation.state,
        "active": generation.is_active,
        "withheld": message.withheld_at is not None,
        # Called only by the template that shows it: a foot alone needs no markdown.
        "body": partial(_body, message, generation),
        "approvals": partial(_approvals, message, generation),
        "schema": _schema_verdict(generation),
        "reasoning": message.reasoning,
        "message_id": message.pk,
        "live": generation.is_active,
        "thought": thought_text(generation.thinking_ms if not generation.is_active else None),
        "notice": notice(generation),
        "refused": _is_refused(message, generation),
        "facts": _facts(generation),
        "verdict": _verdict(generation),
        "waits": _waits(message, generation),
        "outcome": outcome(message),
        "opinion": _opinion(message),
        "reported": _is_reported(message),
    }


def outcome(message: Message) -> dict[str, str] | None:
    """What a review came to, in a sentence for the message's reader; None: there was none."""
    item: ReviewItem | None = getattr(message, "review", None)
    if item is None or not item.outcome:
        return None
    said = {
        DecisionKind.UPHOLD: _("Removed after review."),
        DecisionKind.REDACT: _("A passage was redacted after review."),
        DecisionKind.DISMISS: _("Restored after review.")
        if item.was_withheld and message.withheld_at is None  # a verdict may withhold it anew
        else "",
    }.get(DecisionKind(item.outcome), "")
    if item.is_reported and item.state == ReviewState.CLOSED:
        said = f"{said} {_('Your report was reviewed.')}".strip()
    return {"kind": item.outcome, "said": said} if said else None


def _opinion(message: Message) -> str:
    given = list(message.feedback.all()) if not message.generation.is_active else []
    return given[0].opinion if given else ""


def _is_reported(message: Message) -> bool:
    item: ReviewItem | None = getattr(message, "review", None)
    return item is not None and item.is_reported


def _speaker(role: str) -> str:
    return {
        Role.USER: _("You"),
        Role.SYSTEM: _("Instructions"),
        Role.TOOL: _("Tool"),
    }.get(Role(role), settings.ASSISTANT_NAME)


def message_html(message: Message, tree: Tree) -> str:
    return render_to_string("chat/_message.html", message_context(message, tree))


def _versions(message: Message, tree: Tree) -> Versions | None:
    ids = tree.versions(message.pk)
    if len(ids) < 2:
        return None
    at = ids.index(message.pk)
    return Versions(
        number=at + 1,
        total=len(ids),
        previous=ids[at - 1] if at else None,
        next=ids[at + 1] if at + 1 < len(ids) else None,
    )


def _body(message: Message, generation: Generation) -> str:
    if message.withheld_at is not None:
        return ""
    over = not generation.is_active
    calls, schema = calls_of(message), generation.schema
    body = stored_html(message.pk, message.text, calls, schema, over=over)
    # A first paint of what has been saved; the viewer replaces it by what the log has.
    return mark_safe(body if over else tail(message.pk, body + caret(message.pk)))  # noqa: S308


def calls_of(message: Message) -> list[ToolCall]:
    """The message's tool calls. Not even asked for where there can be none."""
    generation = getattr(message, "generation", None)
    if generation is None:
        return []
    if generation.assistant_id is None and generation.request is None:
        return []
    return list(message.tool_calls.all())


def _approvals(message: Message, generation: Generation) -> str:
    if not generation.is_active:
        return ""
    calls = [shown(call, over=False) for call in calls_of(message) if not call.decision]
    return mark_safe(approvals_html(message.pk, message.conversation_id, calls))  # noqa: S308


def _schema_verdict(generation: Generation) -> dict[str, Any] | None:
    """What became of the schema that the answer had to satisfy."""
    receipt = getattr(generation, "receipt", None)
    if receipt is None or not receipt.schema_verdict:
        return None
    errors = [(_path(error["path"]), error["message"]) for error in receipt.schema_errors]
    return {"valid": receipt.schema_verdict == SchemaVerdict.VALID, "errors": errors}


def _path(path: list[str | int]) -> str:
    return " › ".join(str(part + 1) if isinstance(part, int) else part for part in path)


def _is_refused(message: Message, generation: Generation) -> bool:
    """Would the same question meet the same verdict? Not once a reviewer has overridden it."""
    question = message.parent if generation.error_kind == "moderated" else None
    return question is not None and is_blocked(question)


def notice(generation: Generation) -> str:
    """What went wrong, in a sentence for the person who asked."""
    if generation.state == State.STOPPED:
        if generation.stop_reason == MODERATION:
            return _("This reply was stopped by moderation.")
        return _("You stopped this reply.")
    if generation.state == State.INTERRUPTED:
        if generation.stop_reason == "drained":
            return _("The server was restarted before this reply was finished.")
        if generation.stop_reason == "no_viewer":
            return _("Nobody was watching any more, so this reply was not written to its end.")
        return _("This reply was interrupted. What had arrived is kept.")
    if generation.state == State.FAILED:
        return {
            "not_authorised": _("The model service did not accept our credentials."),
            "rate_limited": _("The model service is busy. Try again in a moment."),
            "unavailable": _("The model service is not available right now."),
            "unreachable": _("The model service could not be reached."),
            "timed_out": _("The model service did not answer in time."),
            "refused": _("The model service did not accept this request."),
            "moderated": _(
                "This message was not answered: moderation objected to it. You can edit it and send"
                " it again."
            ),
            "misinstructed": _(
                "This message was not answered: moderation objects to what the assistant is told."
            ),
            "unchecked": _(
                "Your message could not be checked, so it was not answered. Try again in a moment."
            ),
        }.get(generation.error_kind, _("The model service gave no usable answer."))
    if generation.finish_reason == "length":
        return _("The reply reached its length limit.")
    if generation.finish_reason == "content_filter":
        return _("The model service's own filter cut this reply short.")
    return ""


def _facts(generation: Generation) -> list[tuple[str, str]]:
    """The small line under a reply: (what it means, as shown)."""
    if generation.is_active:
        return []
    ttft = generation.ttft_served_ms or generation.ttft_provider_ms
    speed = generation.tokens_per_second
    tokens = generation.completion_tokens
    about = "≈ " if generation.tokens_estimated else ""
    facts = []
    if generation.assistant:
        facts.append((_("Assistant"), str(generation.assistant)))
    if generation.model:
        facts.append((_("Model"), generation.model))
    if ttft is not None:
        facts.append((_("Time to first token"), _("first token %s") % duration(ttft)))
    if speed is not None:
        facts.append((_("Speed"), _("%s tokens/s") % f"{about}{speed:.0f}"))
    if tokens:
        facts.append((_("Tokens"), _("%s tokens") % f"{about}{tokens:,}"))
    if generation.writing_ms is not None and generation.finished_at:
        total = (generation.finished_at - generation.created_at).total_seconds() * 1000
        facts.append((_("Total time"), duration(total)))
    return facts


def _verdict(generation: Generation) -> str:
    receipt = getattr(generation, "receipt", None)
    return receipt.verdict if receipt and receipt.characters else ""


def _waits(message: Message, generation: Generation) -> str:
    """What a reply is withheld for that nobody has objected to: the state of its verdicts."""
    if message.withheld_at is None or generation.stop_reason == MODERATION:
        return ""
    receipt = getattr(generation, "receipt", None)
    state = receipt.verdict if receipt is not None else VerdictState.PENDING
    return str(state) if state in (VerdictState.PENDING, VerdictState.ERROR) else ""


def idle_status() -> Fragment:
    """The status line of a page on which nothing is being written."""
    match readiness():
        case Readiness.LOADING:
            return status("loading", _("The model is loading. You can write already…"))
        case Readiness.FAILED:
            return status("unavailable", _("The local model could not be started."))
    return status("idle", "")


def waiting_status() -> Fragment:
    """The status line while a reply has been asked for and nothing of it is here."""
    if readiness() is Readiness.LOADING:
        return status("waiting", _("The model is loading. Your message waits for it…"))
    return status("waiting", _("Waiting for the first token…"))


def status_of(messages: Iterable[Message]) -> Fragment:
    """The status line that a page opens with."""
    for message in messages:
        generation = getattr(message, "generation", None)
        if generation is not None and generation.is_active:
            return waiting_status()
    return idle_status()


def ended_status(generation: Generation) -> Fragment:
    return status(generation.state, ended_text(Outcome(generation.state)))


def conversations_of(user_id: int) -> list[Conversation]:
    """The user's conversations, the most recently used first."""
    mine = Conversation.objects.present().filter(owner=user_id, head__isnull=False, api_key=None)
    return list(mine.only("id", "title", "active_at").order_by("-active_at")[:LIST_LENGTH])


def list_html(conversations: list[Conversation], current: UUID) -> SafeString:
    """The sidebar's list. Every page of a user gets it anew with each reply, so items are kept."""
    if not conversations:
        empty = _("Your conversations will be listed here.")
        return format_html('<li class="conversations-empty">{}</li>', empty)
    language = get_language()
    items = (_item_html(c.pk, str(c), c.pk == current, language) for c in conversations)
    return mark_safe("".join(items))  # noqa: S308


@lru_cache(maxsize=4096)
def _item_html(pk: UUID, title: str, current: bool, language: str | None) -> str:
    context = {"pk": pk, "title": title, "current": current}
    return render_to_string("chat/_conversation_item.html", context)
