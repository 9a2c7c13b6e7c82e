"""States and verdicts as small words in colour; the word says it all, the colour only helps."""

from collections.abc import Iterable
from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _

from chat.models import (
    DecisionKind,
    Generation,
    Message,
    Receipt,
    ReviewItem,
    State,
    VerdictState,
)

TONES = {
    State.COMPLETE: "good",
    State.STOPPED: "warn",
    State.INTERRUPTED: "warn",
    State.FAILED: "bad",
    VerdictState.PASSED: "good",
    VerdictState.PENDING: "warn",
    VerdictState.FLAGGED: "bad",
    VerdictState.ERROR: "bad",
    VerdictState.OVERRIDDEN: "plain",
}
LABELS = {**dict(State.choices), **dict(VerdictState.choices)}
NOTHING = "–"


class Badge(NamedTuple):
    tone: str  # good, warn, bad or plain: a class of admin_transcript.css
    text: str | Promise


WITHHELD = Badge("bad", _("Withheld"))
REMOVED = Badge("bad", _("Removed"))
DELETED = Badge("warn", _("Deleted"))
SUPERSEDED = Badge("plain", _("Not on the current branch"))
MATCHES = Badge("good", _("SHA-256 matches"))
DIFFERS = Badge("bad", _("SHA-256 DOES NOT MATCH"))
UNSEALED = Badge("bad", _("Not as it was sealed"))
REDACTED = Badge("warn", _("Redacted; the rest matches"))
UNRECONCILED = Badge("warn", _("Not reconciled yet"))
REPEATS = Badge("warn", _("Repeats what was redacted"))
WAITS = Badge("warn", _("To decide"))
FLAGGED = Badge("bad", LABELS[VerdictState.FLAGGED])
FAILED = Badge("bad", LABELS[State.FAILED])


def badge_of(value: str) -> Badge:
    """The badge of a state, of a generation or of a verdict."""
    return Badge(TONES.get(value, "plain"), LABELS.get(value, value))  # type: ignore[call-overload]


def moderation_badge(receipt: Receipt) -> Badge:
    tone, word = badge_of(receipt.verdict)
    return Badge(tone, format_html("{}: {}", _("Moderation"), word))


def reasons(item: ReviewItem) -> list[Badge]:
    """Why it is in the queue."""
    given = {
        FLAGGED: item.is_flagged,
        Badge("bad", _("Reported")): item.is_reported,
        Badge("warn", _("No verdict")): item.is_unclear,
        Badge("plain", _("Sample")): item.is_sampled,
        REPEATS: item.is_repeat,
    }
    return [badge for badge, holds in given.items() if holds]


def badges(several: Iterable[Badge]) -> str:
    return format_html_join(" ", '<span class="badge badge-{}">{}</span>', several) or NOTHING


def continues(message_id: int) -> Badge:
    return Badge("plain", format_html("{} #{}", _("Continues"), message_id))


def hidden(outcome: str) -> Badge:
    """What its reader does not see: until somebody decides, or for good."""
    return REMOVED if outcome == DecisionKind.UPHOLD else WITHHELD


def marks(message: Message, generation: Generation | None) -> list[Badge]:
    """What one should know of a message before reading it, but for what its receipt says."""
    found = [badge_of(generation.state)] if generation else []
    if message.withheld_at:
        found.append(hidden(getattr(getattr(message, "review", None), "outcome", "")))
    return found


def verdict_badges(generation: Generation | None) -> list[Badge]:
    """The verdict in its receipt, or that there is no receipt although it has ended."""
    receipt = getattr(generation, "receipt", None)
    if receipt is not None:
        return [badge_of(receipt.verdict)]
    late = generation is not None and not generation.is_active and not generation.reconciled_at
    return [UNRECONCILED] if late else []
