"""Undo what hides a word: invisible characters, look-alikes, leetspeak, masks, stretched letters.

`fold` works on text, `canonical` on one token of it. A token is only rewritten when the result is
in the caller's vocabulary, so `b0mb` becomes `bomb` while `utf8`, `#a55b17` and Russian stay.
"""

import re
import unicodedata
from bisect import bisect_right
from typing import Protocol

MAX_WORD = 40  # characters; longer tokens are hashes, base64 or noise, never a word
_KEEP = frozenset("\n\r\t")
_BLANKS = frozenset("\u115f\u1160\u2800\u3164\uffa0")  # letters by category, blank on screen
_DROPPED_CATEGORIES = frozenset({"Mn", "Me", "Cf", "Cc", "Cs"})
_TABLE_LIMIT = 4096  # entries; hostile text could otherwise fill it with all of Unicode


class _Invisible(dict[int, int | str | None]):
    """A `str.translate` table filled on demand: categories are looked up once per character."""

    def __missing__(self, code: int) -> int | str | None:
        char = chr(code)
        dropped = char in _BLANKS or (
            char not in _KEEP and unicodedata.category(char) in _DROPPED_CATEGORIES
        )
        value = None if dropped else code
        if len(self) < _TABLE_LIMIT:
            self[code] = value
        return value


_INVISIBLE = _Invisible()
# Emoji letters, which NFKD leaves alone: regional indicators, negative circled and squared.
for _first in (0x1F1E6, 0x1F150, 0x1F170):
    _INVISIBLE.update({_first + i: chr(ord("a") + i) for i in range(26)})

_LOOKALIKES = {
    ord(char): latin
    for chars, letters in (
        ("авсеһніїјкморѕтухԁԍԛԝьгпи", "abcehhiijkmopstyxdgqwbrnu"),  # Cyrillic
        ("αβεηικνορτυχφγωμς", "abenikvoptuxfywus"),  # Greek
        ("օոսհɑɡıłøđħŋƒ", "onuhagilodhnf"),  # Armenian, IPA, barred Latin
        ("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz"),  # small capitals
    )
    for char, latin in zip(chars, letters, strict=True)
}
_LEET = str.maketrans("013457890@$!|+€", "oieastbgoasiite")
_LEET_L = str.maketrans("013457890@$!|+€", "oleastbgoasllte")
_LEET_CHARS = re.compile(r"[0-9@$!|+€]")
_QUANTITY = re.compile(r"\d+[a-z]{1,3}")
_EDGES = "'!|+*@$"
_ELISION = re.compile(r"^(?:l|d|qu|un|all|dell|nell|dall|sull)'(?=\w)")
_MAX_SPELLED = 12  # letters of one spelled-out word: motherfucker
_SHORT = frozenset("aiu")  # words of one letter that a spelled-out run may begin with
_STRETCH = re.compile(r"(\w)\1{2,}")
_SPACED = re.compile(
    r"(?<![^\W_])(?:[^\W_]|[@$!])(?:[ .\-_*/|~]{1,3}(?:[^\W_]|[@$!])){2,23}(?![^\W_])"
)
_GAP = re.compile(r"[ .\-_*/|~]+")
_WIDE_GAP = re.compile(r"[ .\-_*/|~]{2,}")
# Runs of invisible characters, which could otherwise push the letters of a word windows apart.
_PADDING = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]{3,}"
)


class Vocabulary(Protocol):
    def __contains__(self, word: object) -> bool: ...
    def unmask(self, word: str) -> str: ...


class Unpadded:
    """A text without runs of invisible characters; ``origin`` is where one of its offsets was."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._at: list[int] = []
        self._cut: list[int] = [0]
        if not text.isascii():
            for run in _PADDING.finditer(text):
                self._at.append(run.start() - self._cut[-1])
                self._cut.append(run.end() - run.start() + self._cut[-1])
            self.text = _PADDING.sub("", text) if self._at else text

    def origin(self, at: int) -> int:
        return at + self._cut[bisect_right(self._at, at)]


def origins(text: str) -> list[int]:
    """For each character of ``fold(text)`` the place in ``text`` that it came from, and the end."""
    found: list[int] = []
    for at, char in enumerate(text):
        found += [at] * len(fold(char))
    return [*found, len(text)]


def fold(text: str) -> str:
    """Compatibility forms, accents and invisible characters removed; case kept."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text).replace("’", "'")
    return text.translate(_INVISIBLE)


def canonical(token: str, vocabulary: Vocabulary) -> str:
    """The word that a token stands for, or "" when it is an identifier."""
    if "_" in token:
        return ""
    word = token.casefold()
    if not word.isascii():
        word = _latin(word, vocabulary)
    if not word.isalpha():
        word = _decoded(word, vocabulary)
    if word not in vocabulary and _STRETCH.search(word):
        for keep in (r"\1", r"\1\1"):
            shorter = _STRETCH.sub(keep, word)
            if shorter in vocabulary:
                return shorter
    return word


def spelled(text: str, vocabulary: Vocabulary) -> list[tuple[int, int, list[str]]]:
    """Where `join_spaced` finds words: start, end, the words."""
    found = []
    for match in _SPACED.finditer(text):
        words = join_spaced(match[0], vocabulary)
        if words != match[0]:
            found.append((match.start(), match.end(), words.split()))
    return found


def skeleton(word: str) -> str:
    """The word with look-alike letters as one: what two words that look the same share."""
    return word.translate(_LOOKALIKES)


def join_spaced(text: str, vocabulary: Vocabulary) -> str:
    """`f u c k` and `f.u.c.k` as one word, if the letters spell known words."""

    def joined(match: re.Match[str]) -> str:
        words: list[str] = []
        for part in _WIDE_GAP.split(match[0].casefold()):  # in "f u c k  y o u" it parts words
            letters = _GAP.sub("", part).translate(_LOOKALIKES).translate(_LEET)
            found = _segment(letters, vocabulary)
            if not found:
                return match[0]
            words += found
        return " ".join(words) if any(len(word) > 2 for word in words) else match[0]

    return _SPACED.sub(joined, text)


def _latin(word: str, vocabulary: Vocabulary) -> str:
    """Look-alikes as Latin letters: in words of mixed script, or when that gives a known word."""
    mapped = word.translate(_LOOKALIKES)
    if mapped == word or not mapped.isascii():
        return word
    mixed = any(char.isascii() and char.isalpha() for char in word)
    return mapped if mixed or (mapped in vocabulary and word not in vocabulary) else word


def _decoded(word: str, vocabulary: Vocabulary) -> str:
    """Leetspeak, masks and apostrophes resolved; what remains unknown loses its symbols."""
    plain = _ELISION.sub("", word.strip("'!|+*")).replace("'", "").strip(_EDGES)
    if plain in vocabulary:
        return plain
    bare = word.strip("'").rstrip("!|+*")
    if "*" in bare:
        return vocabulary.unmask(word.strip("'!"))
    if _LEET_CHARS.search(bare) and _is_wordlike(bare):
        for form in (bare, bare.replace("11", "ll")):
            for table in (_LEET, _LEET_L):
                decoded = form.translate(table).replace("'", "")
                if decoded in vocabulary:
                    return decoded
    return plain


def _is_wordlike(token: str) -> bool:
    """Not a number or a hash (more digits than letters), nor a quantity (900k, 10ft, 2nd)."""
    letters, digits = sum(map(str.isalpha, token)), sum(map(str.isdigit, token))
    return letters > 1 and letters >= digits and not _QUANTITY.fullmatch(token)


def _segment(letters: str, vocabulary: Vocabulary) -> list[str]:
    """The fewest known words that spell `letters`, or nothing. _SPACED bounds their number."""
    best: list[list[str] | None] = [[]] + [None] * len(letters)
    for start in range(len(letters)):
        before = best[start]
        if before is None:
            continue
        for end in range(start + 1, min(start + _MAX_SPELLED, len(letters)) + 1):
            word, longer = letters[start:end], best[end]
            known = word in vocabulary if len(word) > 1 else start == 0 and word in _SHORT
            if known and (longer is None or len(before) + 1 < len(longer)):
                best[end] = [*before, word]
    return best[-1] or []
