"""What the search box of the record's lists understands: words, "phrases", exact ids."""

from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.text import smart_split, unescape_string_literal

from chat.models import Generation, Message, User

ID_DIGITS = 18  # more do not fit into the database's integers


def words(term: str) -> list[str]:
    """The words of a search; a quoted phrase is one of them. All have to be found."""
    found = []
    for word in smart_split(term):
        if len(word) > 1 and word[0] == word[-1] and word[0] in "\"'":
            word = unescape_string_literal(word)
        found.append(word)
    return [word for word in found if word.strip()]


def exact_id(word: str) -> int | None:
    """The row's number that the word is, with or without a #."""
    digits = word.removeprefix("#")
    if digits.isascii() and digits.isdecimal() and len(digits) <= ID_DIGITS:
        return int(digits)
    return None


def exact_uuid(word: str) -> UUID | None:
    try:
        return UUID(word)
    except ValueError:
        return None


def people(word: str) -> QuerySet[User]:
    """Users whose name or e-mail address holds the word."""
    return User.objects.filter(Q(username__icontains=word) | Q(email__icontains=word))


def saying(word: str) -> QuerySet[Message]:
    """Messages whose text or reasoning holds the word."""
    return Message.objects.filter(Q(text__icontains=word) | Q(reasoning__icontains=word))


def made_by(word: str) -> QuerySet[Generation]:
    """Generations of a model whose name holds the word, or of exactly this request id."""
    return Generation.objects.filter(Q(model__icontains=word) | Q(request_id=word))
