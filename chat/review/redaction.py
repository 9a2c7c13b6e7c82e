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
from functools import lru_cache
from typing import Any

from django.db.models import Model, Q
from django.utils.translation import gettext as _

from chat.models import Conversation, Message, Receipt, Redaction, ReviewDecision

BLOCK = "█"
# Shorter passages are taken out where they were pointed at and nowhere else: "an" is everywhere.
COPY_MIN_CHARS = 4
WHITE_SPACE = r"(?:\s|\\[nrt]|\\u00a0)+"  # as it is, or as JSON spells it
TITLE_PART_MIN_CHARS = 6  # of a title, which may be made of a part of the passage

Passage = tuple[int, int]


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def merged(passages: Iterable[Passage], length: int) -> list[Passage]:
    """In order and without overlaps.

    Raises:
        ValueError: one is not within the text.
    """
    found: list[Passage] = []
    for start, end in sorted(passages):
        if not 0 <= start < end <= length:
            raise ValueError(_("A passage is not within the text."))
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def checked(message: Message, words: Iterable[str]) -> list[str]:
    """Words, each once, that stand somewhere in the message's record.

    Raises:
        ValueError: some are too short to be looked for, or stand nowhere.
    """
    given = list(dict.fromkeys(word.strip() for word in words))
    if any(len(word.strip(BLOCK + " ")) < COPY_MIN_CHARS for word in given):
        least = {"least": COPY_MIN_CHARS}
        raise ValueError(_("Words to take out need at least %(least)s characters each.") % least)
    record = list(_record(message)) if given else []
    missing = [word for word in given if not any(map(_pattern(word).search, record))]
    if missing:
        words_missing = ", ".join(f"“{word}”" for word in missing)
        raise ValueError(
            _("Not found in the record of this message: %(words)s.") % {"words": words_missing}
        )
    return given


def redact(
    message: Message,
    passages: Iterable[Passage],
    decision: ReviewDecision,
    words: Iterable[str] = (),
) -> None:
    """Within the caller's transaction; ``message`` and its conversation are changed and saved."""
    text = message.text
    given = merged(passages, len(text))
    passed = {text[start:end] for start, end in given}
    secrets = sorted({*passed, *words}, key=len, reverse=True)
    copies = [_pattern(secret) for secret in secrets if len(secret.strip()) >= COPY_MIN_CHARS]
    again = [found.span() for pattern in copies for found in pattern.finditer(text)]
    gone = merged([*given, *again], len(text))
    message.text = _blanked(text, gone)
    left = sha256(message.text)
    Redaction.objects.bulk_create(
        Redaction(
            message=message,
            decision=decision,
            start=start,
            characters=end - start,
            sha256=sha256(text[start:end]),
            sha256_after=left,
        )
        for start, end in gone
    )
    message.reasoning = blank(message.reasoning, copies)
    message.save(update_fields=["text", "reasoning"])
    _beside(message, copies)
    _untitle(message.conversation, copies, secrets)


def _blanked(text: str, passages: Iterable[Passage]) -> str:
    pieces, at = [], 0
    for start, end in passages:
        pieces += [text[at:start], BLOCK * (end - start)]
        at = end
    return "".join([*pieces, text[at:]])


def blank(text: str, copies: Iterable[re.Pattern[str]]) -> str:
    """The text with blocks in the place of each copy, however it spells white space and JSON."""
    for pattern in copies:
        text = pattern.sub(lambda found: BLOCK * len(found.group()), text)
    return text


def patterns(
    text: str, passages: Iterable[Passage], words: Iterable[str] = ()
) -> list[re.Pattern[str]]:
    """What finds copies of the passages and words elsewhere, such as in a note about them."""
    secrets = {*(text[start:end] for start, end in passages), *words}
    return [_pattern(secret) for secret in secrets if len(secret.strip()) >= COPY_MIN_CHARS]


def repeats(message: Message, copies: list[re.Pattern[str]]) -> list[int]:
    """Other messages of the conversation that hold a copy, in text, thoughts or tool calls."""
    others = message.conversation.messages.exclude(pk=message.pk).order_by("pk")
    rows = others.prefetch_related("tool_calls").only("text", "reasoning", "role")
    return [
        other.pk
        for other in rows.iterator(chunk_size=100)
        if any(pattern.search(said) for said in _said(other) for pattern in copies)
    ]


def _said(message: Message) -> Iterator[str]:
    yield from (message.text, message.reasoning)
    for call in message.tool_calls.all():
        yield from (call.arguments, call.result)


def _pattern(secret: str) -> re.Pattern[str]:
    """In whatever case, as it is or as JSON spells it, and with other white space."""
    words = ("".join(map(_spelled, word)) for word in secret.split())
    return re.compile(WHITE_SPACE.join(words), re.IGNORECASE)


@lru_cache(1_000)
def _spelled(character: str) -> str:
    if character.isascii() and character.isalnum():
        return character
    # Of an escaped letter IGNORECASE does not know the case.
    cases = {character, character.lower(), character.upper()}
    ways = cases | {json.dumps(case)[1:-1] for case in cases}
    if character.isascii():
        ways |= {f"\\{character}", f"\\u{ord(character):04x}"}
    return f"(?:{'|'.join(re.escape(way) for way in sorted(ways, key=len, reverse=True))})"


def _kept(message: Message) -> Iterator[tuple[Iterable[Model], tuple[str, ...]]]:
    """Rows beside the message, and those columns of them that may repeat what it says.

    The requests are of the whole conversation: each holds what was said before it.
    """
    yield message.tool_calls.all(), ("arguments", "parsed", "result")
    yield message.verdicts.all(), ("error",)
    yield Receipt.objects.filter(generation__message=message), ("schema_errors",)
    yield message.reports.all(), ("note",)
    yield ReviewDecision.objects.filter(item__message=message), ("note", "passages")
    asked = message.conversation.generations.filter(Q(request__isnull=False) | ~Q(error_detail=""))
    yield asked.iterator(chunk_size=20), ("request", "error_detail")


def _record(message: Message) -> Iterator[str]:
    """All that the message and the rows beside it say."""
    yield from (message.text, message.reasoning, message.conversation.title)
    for rows, names in _kept(message):
        for row in rows:
            for name in names:
                yield from _strings(getattr(row, name))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _strings(item)


def _beside(message: Message, copies: list[re.Pattern[str]]) -> None:
    """Copies in calls, verdicts, receipt, reports, notes and requests; marks that pointed there."""
    for rows, names in _kept(message):
        for row in rows:
            before = [getattr(row, name) for name in names]
            after = [_blank_json(value, copies) for value in before]
            if after != before:
                for name, value in zip(names, after, strict=True):
                    setattr(row, name, value)
                row.save(update_fields=names)
    taken = [(r.start, r.start + r.characters) for r in message.redactions.all()]
    for verdict in message.verdicts.all():
        verdict.spans = [span for span in verdict.spans if not _touches(span, taken)]
        verdict.save(update_fields=["spans"])


def _untitle(
    conversation: Conversation, copies: list[re.Pattern[str]], secrets: Iterable[str]
) -> None:
    title = blank(conversation.title, copies)
    for secret in secrets:
        title = _blank_part(title, secret)
    if title != conversation.title:
        conversation.title = title
        conversation.save(update_fields=["title"])


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
