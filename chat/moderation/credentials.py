"""Secrets by the form that their makers gave them, and what is called a password. Pure."""

import math
from collections import Counter
from collections.abc import Callable, Iterator

import re2

from chat.moderation.personal import Found, _pattern

MIN_BITS = 3.3  # per character: random base64 has 5 and more, words and placeholders 3 and less
_PLACEHOLDER = _pattern(
    r"(?i)^[\"'`]?(?:<.*|\$\{?\w+.*|%\w+%.*|\{\{.*|\*+.*|x{3,}.*|\.{3}.*|your[-_ ]?.*|example.*"
    r"|changeme|none|null|true|false|required|optional|string|str|\w+\(.*|os\.\w+.*"
    r"|process\.env.*|self\.\w+.*)$"
)


def _any(text: str) -> bool:
    return True


def _is_given(text: str) -> bool:
    """Is the value behind a name a value, and not a stand-in for one?"""
    value = text.replace(":", "=").rpartition("=")[2].strip().strip("\"'`,;()")
    return len(value) >= 4 and not _PLACEHOLDER.search(value)


def _is_random(text: str) -> bool:
    value = text.replace(":", "=").partition("=")[2].strip(" \"'`=") or text
    has_digit = any(char.isdigit() for char in value)
    has_letter = any(char.isalpha() for char in value)
    return has_digit and has_letter and _is_given(text) and bits(value) >= MIN_BITS


def bits(text: str) -> float:
    """Shannon's entropy per character."""
    total = len(text)
    return -sum(n / total * math.log2(n / total) for n in Counter(text).values()) if text else 0.0


KINDS: dict[str, tuple[tuple["re2._Regexp", Callable[[str], bool]], ...]] = {
    "api_key": (
        (
            _pattern(
                r"\b(?:sk|pk|rk)[-_](?:live|test|proj|ant|or|svcacct|admin)?[-_]?[\w-]{16,}"
                r"|\b(?:gh[opsur]_|github_pat_|glpat-|gsk_|hf_|npm_|r8_|tgp_|xai-|nvapi-|pplx-)"
                r"[\w-]{16,}"
                r"|\b(?:AKIA|ASIA|AROA)[A-Z0-9]{16}\b|\bAIza[\w-]{35}|\bya29\.[\w-]{20,}"
                r"|\bxox[abeoprs]-[\w-]{10,}|\bSG\.[\w-]{16,}\.[\w-]{16,}"
                r"|\bdop_v1_[a-f0-9]{64}|\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}|\bpypi-AgE[\w-]{50,}"
                r"|\bparley-[\w-]{40,60}|\b\d{8,10}:AA[\w-]{33}\b"
            ),
            _any,
        ),
    ),
    "private_key": (
        (_pattern(r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----"), _any),
    ),
    "token": (
        (_pattern(r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"), _any),
        (_pattern(r"(?i)\bbearer +[\w.~+/-]{20,}=*"), _any),
    ),
    "password": (
        (
            _pattern(
                r"(?i)\b(?:[\w.-]*[_.-])?(?:password|passwd|passphrase|passwort|kennwort|pwd)"
                r"[\"']? {0,3}(?:=|:|:=|=>) {0,3}[\"'`]?[^\s\"'`,;]{4,}"
            ),
            _is_given,
        ),
        (_pattern(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@]+:[^\s/@]{3,}@[\w.-]+"), _any),
    ),
    "generic": (
        (
            _pattern(
                r"(?i)\b[\w.-]*(?:secret|token|api[_-]?key|access[_-]?key|auth[_-]?key)\w{0,20}"
                r"[\"']? {0,3}(?:=|:|:=|=>) {0,3}[\"'`]?[\w+/=.~-]{16,}"
            ),
            _is_random,
        ),
    ),
}
_MOST = 1_000  # candidates looked at in one window


def find(text: str, kinds: frozenset[str]) -> Iterator[Found]:
    """Secrets of these kinds in a text without invisible characters; no lone surrogates."""
    for kind in sorted(kinds):
        for expression, check in KINDS[kind]:
            for number, match in enumerate(expression.finditer(text)):
                if number == _MOST:
                    break
                if check(match.group()):
                    yield match.start(), match.end(), kind
