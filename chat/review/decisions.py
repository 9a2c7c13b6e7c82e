"""What reviewers decide on a message. One transaction each; the row of the conversation is locked.

    dismiss   the flags are overridden, and what was withheld is shown again
    uphold    the message is taken off every page for good
    redact    passages are taken out of it (see redaction.py), and the rest is shown; what repeats
              them in the conversation is let wait for a decision of its own
    escalate  it waits for somebody else

Where ``REVIEW_TWO_PERSON`` names the kind, or the outcome that the decision would undo, the first
decision is a proposal, and takes effect when another reviewer has confirmed it. Nobody decides on
what he has written himself. Who decides says which decision he has seen last: of two at the same
time one wins, and the other is told.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from chat import doorbell
from chat.models import (
    AccessKind,
    DecisionKind,
    Message,
    Receipt,
    ReviewDecision,
    ReviewItem,
    ReviewState,
    User,
    VerdictState,
)
from chat.record import access_log, purge, seals
from chat.record.holds import is_held, is_held_for_good
from chat.review import queue, redaction, who
from chat.review.redaction import Passage

OUTCOMES = {
    DecisionKind.DISMISS: gettext_lazy("Dismissed"),
    DecisionKind.UPHOLD: gettext_lazy("Removed"),
    DecisionKind.REDACT: gettext_lazy("A passage redacted"),
    DecisionKind.ESCALATE: gettext_lazy("Escalated"),
}
NEEDS_NOTE = (DecisionKind.UPHOLD, DecisionKind.REDACT, DecisionKind.ESCALATE)


class Refused(Exception):
    """Nothing was decided, for a reason that the reviewer can read."""


def decide(
    reviewer: User,
    message_id: int,
    kind: DecisionKind,
    note: str = "",
    *,
    passages: Sequence[Passage] = (),
    words: Sequence[str] = (),
    seen: int = 0,
) -> ReviewDecision:
    """Decide, or propose where two have to agree. ``seen`` is the last decision's id, 0 for none.

    A redaction needs ``passages`` of the text or ``words`` of the message's record, or both.

    Raises:
        Refused: somebody else was first, the reply is still being written, a note is missing, …
    """
    with transaction.atomic():
        message, revision = _locked(message_id, reviewer)
        item = _item(message)
        _refuse_if_news(item, reviewer, seen)
        if item.state == ReviewState.PROPOSED:
            raise Refused(_("This waits for a second reviewer. Confirm or decline the proposal."))
        if kind in NEEDS_NOTE and not note.strip():
            raise Refused(_("Say why: this decision needs a note."))
        _refuse_alone(item, message, reviewer, kind)
        taken_out: list[Any] = []
        if kind == DecisionKind.REDACT:
            passages, words = _to_take_out(message, passages, words)
            note = redaction.blank(note, redaction.patterns(message.text, passages, words))
            taken_out = [*map(list, passages), *words]
        decision = ReviewDecision.objects.create(
            item=item,
            reviewer=reviewer,
            kind=kind,
            note=note.strip(),
            passages=taken_out,
        )
        if needs_two(item, kind):
            _move(item, ReviewState.PROPOSED)
        else:
            _take_effect(item, message, decision, revision)
        _record(reviewer, message, decision)
    return decision


def confirm(reviewer: User, message_id: int, note: str = "", *, seen: int = 0) -> ReviewDecision:
    """Agree with what another reviewer has proposed: now it takes effect.

    Raises:
        Refused: nothing waits, it is the reviewer's own proposal, or a legal hold is in the way.
    """
    with transaction.atomic():
        message, revision = _locked(message_id, reviewer)
        item = _item(message)
        proposed = _proposed(item, reviewer, seen)
        if proposed.kind == DecisionKind.REDACT:
            _refuse_held(is_held(message.conversation))
        decision = _answer(item, proposed, reviewer, note, agrees=True)
        _take_effect(item, message, proposed, revision)
        decision.repeated_in = proposed.repeated_in
        _record(reviewer, message, decision)
    return decision


def decline(reviewer: User, message_id: int, note: str = "", *, seen: int = 0) -> ReviewDecision:
    """Disagree: the message waits again. The answer confirms nothing: it takes no effect.

    Raises:
        Refused: as for ``confirm``, or a note is missing.
    """
    with transaction.atomic():
        message, _revision = _locked(message_id, reviewer)
        item = _item(message)
        proposed = _proposed(item, reviewer, seen)
        if not note.strip():
            raise Refused(_("Say why: this decision needs a note."))
        decision = _answer(item, proposed, reviewer, note, agrees=False)
        _move(item, ReviewState.OPEN)
        _record(reviewer, message, decision)
    return decision


def needs_two(item: ReviewItem, kind: DecisionKind) -> bool:
    """Have two to agree? Also to undo what two have to agree to, or it would be one who decides."""
    if kind == DecisionKind.ESCALATE:
        return False
    return bool({kind, item.outcome} & set(settings.REVIEW_TWO_PERSON))


def _locked(message_id: int, reviewer: User) -> tuple[Message, int]:
    """The message as it is when it is our turn, and the conversation's next revision."""
    message = Message.objects.select_related("conversation__owner").get(pk=message_id)
    if message.conversation.owner_id == reviewer.pk:
        raise Refused(_("This is your own conversation. Another reviewer has to decide on it."))
    revision = message.conversation.bump()
    message.refresh_from_db(fields=["text", "reasoning", "withheld_at"])
    message.conversation.refresh_from_db(fields=["title"])
    generation = getattr(message, "generation", None)
    if generation is not None and (generation.is_active or not generation.reconciled_at):
        raise Refused(_("This reply is still being written. Decide when it has ended."))
    return message, revision


def _item(message: Message) -> ReviewItem:
    """Reviewers decide on what nobody has put into the queue, too."""
    item, _made = ReviewItem.objects.get_or_create(message=message)
    return item


def _refuse_if_news(item: ReviewItem, reviewer: User, seen: int) -> None:
    last = item.decisions.select_related("reviewer", "confirms").last()
    if last is None or last.pk == seen:
        return
    if last.reviewer_id == reviewer.pk:
        raise Refused(_("You have decided on this already: %(what)s.") % {"what": in_words(last)})
    raise Refused(
        _("Not decided: %(name)s was first. %(what)s.")
        % {"name": last.reviewer.get_username(), "what": in_words(last)}
    )


def _refuse_alone(item: ReviewItem, message: Message, reviewer: User, kind: DecisionKind) -> None:
    """Who escalated has asked for somebody else, and does not close it alone if there is one."""
    if item.state != ReviewState.ESCALATED or kind == DecisionKind.ESCALATE:
        return
    last = item.decisions.filter(kind=DecisionKind.ESCALATE).last()
    others = who.reviewers().exclude(pk__in=(reviewer.pk, message.conversation.owner_id))
    alone = last is not None and last.reviewer_id == reviewer.pk and not needs_two(item, kind)
    if alone and others.exists():
        raise Refused(_("You escalated this yourself. Another reviewer has to decide on it."))


def _refuse_held(held: bool) -> None:
    if held:
        raise Refused(
            _("This is under a legal hold. Nothing is taken out of it until the hold is released.")
        )


def in_words(decision: ReviewDecision) -> str:
    """``Removed`` of what took effect; ``Uphold and remove, proposed`` of what did not."""
    if decision.took_effect:
        kind = DecisionKind(decision.kind)
        restored = kind == DecisionKind.DISMISS and decision.item.was_withheld
        what = _("Restored") if restored else str(OUTCOMES[kind])
        return what if decision.confirms_id is None else _("%(what)s, confirmed") % {"what": what}
    form = _("%(what)s, proposed") if decision.confirms_id is None else _("%(what)s, declined")
    return form % {"what": decision.get_kind_display()}


def _proposed(item: ReviewItem, reviewer: User, seen: int) -> ReviewDecision:
    _refuse_if_news(item, reviewer, seen)
    last = item.decisions.last()
    if item.state != ReviewState.PROPOSED or last is None:
        raise Refused(_("No decision waits for a second reviewer here."))
    if last.reviewer_id == reviewer.pk:
        raise Refused(_("You proposed this yourself. Another reviewer has to confirm it."))
    return last


def _answer(
    item: ReviewItem, proposed: ReviewDecision, reviewer: User, note: str, *, agrees: bool
) -> ReviewDecision:
    hidden = redaction.patterns(item.message.text, *_taken_out(proposed))
    return ReviewDecision.objects.create(
        item=item,
        reviewer=reviewer,
        kind=proposed.kind,
        note=redaction.blank(note.strip(), hidden),
        confirms=proposed,
        took_effect=agrees,
    )


def _taken_out(decision: ReviewDecision) -> tuple[list[Passage], list[str]]:
    """The passages and the words of a redaction."""
    passages = [(each[0], each[1]) for each in decision.passages if not isinstance(each, str)]
    return passages, [each for each in decision.passages if isinstance(each, str)]


def _to_take_out(
    message: Message, passages: Sequence[Passage], words: Sequence[str]
) -> tuple[list[Passage], list[str]]:
    _refuse_held(is_held(message.conversation))
    receipt = Receipt.objects.filter(generation__message=message).first()
    last = message.redactions.last()
    expected = last.sha256_after if last else receipt.sha256 if receipt else None
    if expected is not None and redaction.sha256(message.text) != expected:
        # A redaction would hide that somebody has changed the text.
        raise Refused(_("The stored text does not match its receipt, so it cannot be redacted."))
    if not passages and not words:
        raise Refused(_("Select the passage that is to be redacted, or write words to take out."))
    try:
        found = redaction.merged(passages, len(message.text))
        return found, redaction.checked(message, words)
    except ValueError as error:
        raise Refused(str(error)) from None


def _take_effect(
    item: ReviewItem, message: Message, decision: ReviewDecision, revision: int
) -> None:
    kind = DecisionKind(decision.kind)
    decision.took_effect = True
    decision.save(update_fields=["took_effect"])
    if kind == DecisionKind.ESCALATE:
        _move(item, ReviewState.ESCALATED)
        return
    item.outcome = kind
    item.was_withheld |= message.withheld_at is not None
    _move(item, ReviewState.CLOSED)
    if kind == DecisionKind.UPHOLD:
        withheld_at = message.withheld_at or timezone.now()
        if not is_held_for_good(message.conversation):
            _untitle(message)
    else:
        withheld_at = None
        _override(message)
    if kind == DecisionKind.REDACT:
        _take_out(message, decision)
    Message.objects.filter(pk=message.pk).update(revision=revision, withheld_at=withheld_at)


def _take_out(message: Message, decision: ReviewDecision) -> None:
    """Redact. The whole conversation is looked through before what all of them wait for is locked.

    First the access log, then the seals, without which no reply of anybody's can end.
    """
    _refuse_while_written(message)
    passages, words = _taken_out(decision)
    copies = redaction.patterns(message.text, passages, words)
    others = redaction.repeats(message, copies) if copies else []
    decision.repeated_in = [pk for pk in others if _let_wait(pk)]
    before = seals.contents(message.conversation_id)
    redaction.redact(message, passages, decision, words)
    # One on the owner may have been placed since it was looked at first; then nothing of this was.
    _refuse_held(is_held_for_good(message.conversation))
    seals.renew(message.conversation_id, before)
    transaction.on_commit(purge.scrub_soon)


def _refuse_while_written(message: Message) -> None:
    """What a model has been given is not taken out of its answer, which is saved after this.

    Who begins another has to lock the conversation, and reads what is left.
    """
    if message.conversation.generations.active().exists():
        raise Refused(
            _("A reply or a title is being made of this conversation. Redact when it has ended.")
        )


def _let_wait(message_id: int) -> bool:
    """What repeats a redacted passage is decided on its own, and nobody has to remember it.

    False for what has been removed already.
    """
    return queue.put(message_id, repeat=True).state != ReviewState.CLOSED


def _untitle(message: Message) -> None:
    """A title that is the beginning of what was removed goes with it."""
    conversation = message.conversation
    title = conversation.title.rstrip("…").strip()
    if title and title in " ".join(message.text.split()):
        conversation.title = ""
        conversation.save(update_fields=["title"])


def _override(message: Message) -> None:
    """A person has looked: what the backends objected to does not count any more."""
    objections = message.verdicts.filter(state__in=[VerdictState.FLAGGED, VerdictState.ERROR])
    if objections.update(state=VerdictState.OVERRIDDEN):
        receipts = Receipt.objects.filter(generation__message=message)
        receipts.update(verdict=VerdictState.OVERRIDDEN)


def _move(item: ReviewItem, state: ReviewState) -> None:
    item.state = state
    item.closed_at = timezone.now() if state == ReviewState.CLOSED else None
    item.save(update_fields=["state", "outcome", "was_withheld", "closed_at"])


def _record(reviewer: User, message: Message, decision: ReviewDecision) -> None:
    conversation = message.conversation
    detail: dict[str, Any] = {
        "message": message.pk,
        "decision": decision.kind,
        "took_effect": decision.took_effect,
    }
    if decision.confirms_id is not None:
        detail["answers"] = decision.confirms_id
    access_log.note(
        reviewer,
        AccessKind.DECISION,
        conversation=conversation,
        # Not the note, which may quote what is purged one day; the log stays.
        detail={**detail, "note": access_log.fingerprint(decision.note)},
    )
    for ring in (
        partial(doorbell.ring_conversation, conversation.pk),
        partial(doorbell.ring_user, conversation.owner_id),
    ):
        transaction.on_commit(ring, robust=True)
