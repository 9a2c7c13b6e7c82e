"""Taking a passage out of a message, and out of every copy of it.

In its place stand as many blocks: so all that counts characters of the text (tool calls, marks,
the replay, earlier redactions) still points where it did. The receipt stays as it was written; a
``Redaction`` says what was taken out, and the hash of what is left.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _

from chat.models import Conversation, Generation, Message, Receipt, Redaction, ReviewDecision

BLOCK = "█"
# Shorter passages are taken out where they were pointed at and nowhere else: "an" is everywhere.
COPY_MIN_CHARS = 4
TITLE_PART_MIN_CHARS = 6  # of a title, which may be made of a part of the passage

Passage = tuple[int, int]


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def merged(passages: Iterable[Passage], length: int) -> list[Passage]:
    """In order and without overlaps.

    Raises:
        ValueError: there is none, or one is not within the text.
    """
    found: list[Passage] = []
    for start, end in sorted(passages):
        if not 0 <= start < end <= length:
            raise ValueError(_("A passage is not within the text."))
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    if not found:
        raise ValueError(_("Select the passage that is to be redacted."))
    return found


def redact(message: Message, passages: Iterable[Passage], decision: ReviewDecision) -> None:
    """Within the caller's transaction; ``message`` and its conversation are changed and saved."""
    text = message.text
    given = merged(passages, len(text))
    secrets = sorted({text[start:end] for start, end in given}, key=len, reverse=True)
    copies = [_pattern(secret) for secret in secrets if len(secret.strip()) >= COPY_MIN_CHARS]
    again = [found.span() for pattern in copies for found in pattern.finditer(text)]
    for start, end in merged([*given, *again], len(text)):
        after = message.text[:start] + BLOCK * (end - start) + message.text[end:]
        Redaction.objects.create(
            message=message,
            decision=decision,
            start=start,
            characters=end - start,
            sha256=sha256(text[start:end]),
            sha256_after=sha256(after),
        )
        message.text = after
    message.reasoning = blank(message.reasoning, copies)
    message.save(update_fields=["text", "reasoning"])
    _beside(message, copies)
    _around(message.conversation, copies, secrets)


def blank(text: str, copies: Iterable[re.Pattern[str]]) -> str:
    """The text with blocks in the place of each copy, however it spells white space and JSON."""
    for pattern in copies:
        text = pattern.sub(lambda found: BLOCK * len(found.group()), text)
    return text


def patterns(text: str, passages: Iterable[Passage]) -> list[re.Pattern[str]]:
    """What finds copies of the passages elsewhere, such as in a note about them."""
    secrets = {text[start:end] for start, end in passages}
    return [_pattern(secret) for secret in secrets if len(secret.strip()) >= COPY_MIN_CHARS]


def _pattern(secret: str) -> re.Pattern[str]:
    """As it is, as JSON spells it in two ways, and with other white space."""
    secret = secret.strip()
    loose = r"\s+".join(re.escape(word) for word in secret.split())
    spelled = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]} - {secret}
    return re.compile("|".join([loose, *map(re.escape, spelled)]), re.IGNORECASE)


def _beside(message: Message, copies: list[re.Pattern[str]]) -> None:
    """What belongs to the message itself: calls, verdicts, receipt, reports."""
    for call in message.tool_calls.all():
        call.arguments, call.result = blank(call.arguments, copies), blank(call.result, copies)
        call.parsed = _blank_json(call.parsed, copies)
        call.save(update_fields=["arguments", "parsed", "result"])
    taken = [(r.start, r.start + r.characters) for r in message.redactions.all()]
    for verdict in message.verdicts.all():
        verdict.spans = [span for span in verdict.spans if not _touches(span, taken)]
        verdict.error = blank(verdict.error, copies)
        verdict.save(update_fields=["spans", "error"])
    for receipt in Receipt.objects.filter(generation__message=message).exclude(schema_errors=[]):
        receipt.schema_errors = _blank_json(receipt.schema_errors, copies)
        receipt.save(update_fields=["schema_errors"])
    for report in message.reports.exclude(note=""):
        report.note = blank(report.note, copies)
        report.save(update_fields=["note"])


def _around(
    conversation: Conversation, copies: list[re.Pattern[str]], secrets: Iterable[str]
) -> None:
    """The title, and what was sent to the provider where the API brought it."""
    title = blank(conversation.title, copies)
    for secret in secrets:
        title = _blank_part(title, secret)
    if title != conversation.title:
        conversation.title = title
        conversation.save(update_fields=["title"])
    asked: Iterator[Generation] = conversation.generations.filter(
        Q(request__isnull=False) | ~Q(error_detail="")
    ).iterator(chunk_size=20)
    for generation in asked:
        generation.request = _blank_json(generation.request, copies)
        generation.error_detail = blank(generation.error_detail, copies)
        generation.save(update_fields=["request", "error_detail"])


def _blank_part(title: str, secret: str) -> str:
    """Titles are cut: the longest part of the passage that stands in one goes too."""
    match = SequenceMatcher(None, title.lower(), secret.lower(), autojunk=False)
    found = match.find_longest_match()
    if len(title[found.a : found.a + found.size].strip()) < TITLE_PART_MIN_CHARS:
        return title
    return title[: found.a] + BLOCK * found.size + title[found.a + found.size :]


def _blank_json(value: Any, copies: list[re.Pattern[str]]) -> Any:
    if isinstance(value, str):
        return blank(value, copies)
    if isinstance(value, list):
        return [_blank_json(item, copies) for item in value]
    if isinstance(value, dict):
        return {blank(key, copies): _blank_json(item, copies) for key, item in value.items()}
    return value


def _touches(span: Any, taken: list[Passage]) -> bool:
    try:
        start, end = int(span[0]), int(span[1])
    except (TypeError, ValueError, IndexError, KeyError):
        return True  # nothing that anybody could read
    return any(start < to and since < end for since, to in taken)
