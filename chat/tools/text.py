"""A stranger's text, cut to size."""

from chat.engine.errors import SECRET_MIN_CHARS
from chat.engine.wellformed import well_formed

RESULT_CHARS = 20_000
CUT = "\n[The rest of the result was cut off.]"
# Of the control characters a text needs only these; others can steer the terminal that shows a log.
KEPT = "\n\t"
CONTROL = dict.fromkeys(code for code in (*range(32), *range(127, 160)) if chr(code) not in KEPT)


def squeezed(text: str, most: int) -> str:
    """Well-formed text without control characters, of at most so many characters."""
    return well_formed(text[:most]).replace("\r\n", "\n").translate(CONTROL)


def result_of(text: str) -> str:
    """The text as a tool's result: at most RESULT_CHARS, with the note if that cut it."""
    if len(text) <= RESULT_CHARS:
        return squeezed(text, RESULT_CHARS)
    return squeezed(text, RESULT_CHARS - len(CUT)) + CUT


def without(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        if len(secret) >= SECRET_MIN_CHARS:
            text = text.replace(secret, "[secret]")
    return text
