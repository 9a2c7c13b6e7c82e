"""Does a text address whoever judges it? Words that no reader needs, and every judge meets. Pure.

It is evidence, not proof: an article about such attacks is flagged too. So it makes a person look
and nothing more; what keeps the judge's answer its own is in ``chat.moderation.judge``.
"""

import re

from chat.moderation import fold

CATEGORY = "prompt_injection"
SCORE = 0.9
WINDOW_CHARS = 20_000  # folded at a time

# Gaps are counted, so that no text makes these slow.
_ASKED_TO_FORGET = (
    r"\b(?:ignore|disregard|forget|override|bypass)\b[^.\n]{0,40}"
    r"\b(?:previous|prior|above|earlier|preceding|all|your|any)\b[^.\n]{0,30}"
    r"\b(?:instructions?|rules?|prompts?|directions?|guidelines|policy|policies)\b"
)
_ASKED_FOR_A_YES = (
    r"\b(?:mark|rate|score|classify|label|report|return|answer|respond|output|reply)\b[^.\n]{0,60}"
    r"\b(?:as safe|as harmless|not flagged|unflagged|flagged\W{1,4}(?:false|0)|all zeros?"
    r"|score of 0|safe content)\b"
)
_PLANTED = (
    r"""["']?(?:flagged|nonce|category_scores|prompt_injection|verdict)["']?\s{0,5}:\s{0,5}"""
)
_PLANTED += r"""(?:true|false|["'{\[]|[01]\b)"""
_NAMED = (
    r"\b(?:note|message|attention|dear|to|hey)\b[ ,:]{1,3}(?:the |this )?"
    r"(?:ai |automated |content )?(?:moderator|judge|reviewer model|classifier|grader)\b"
    r"|\byou are (?:now |no longer )(?:a |an |the )?(?:\w{1,20} )?(?:moderator|judge|classifier)\b"
)
_TEMPLATE = r"<\|(?:im_start|im_end|system|assistant|end_of_turn|eot_id|start_header_id)\|>"
_TEMPLATE += r"|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>"
_ANY = re.compile(
    "|".join((_ASKED_TO_FORGET, _ASKED_FOR_A_YES, _PLANTED, _NAMED, _TEMPLATE)), re.IGNORECASE
)


def addresses_the_judge(text: str) -> tuple[int, int] | None:
    """Start and end of the first passage that does; None if none does."""
    unpadded = fold.Unpadded(text)
    for start in range(0, max(1, len(unpadded.text)), WINDOW_CHARS - 500):
        window = unpadded.text[start : start + WINDOW_CHARS]
        folded = fold.fold(window)
        if match := _ANY.search(folded):
            places = fold.origins(window)
            first, last = start + places[match.start()], start + places[match.end() - 1]
            return unpadded.origin(first), unpadded.origin(last) + 1
    return None
