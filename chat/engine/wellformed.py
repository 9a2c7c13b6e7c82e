"""Text that every database and every socket takes. What a provider sends need not be."""

REPLACEMENT = "\ufffd"


def well_formed(text: str) -> str:
    """The text with U+FFFD for each NUL and each half of a surrogate pair; whole pairs joined."""
    text = text.replace("\0", REPLACEMENT)
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def opens_pair(character: str) -> bool:
    """Whether this is the first half of a surrogate pair, whose second half may still come."""
    return "\ud800" <= character <= "\udbff"
