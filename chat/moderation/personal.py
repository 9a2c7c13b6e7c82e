"""Personal data by their form, and by their check digits where they have some. Pure.

A number without a form of its own (nine digits, say) is no evidence of anything, so of the national
ids only those are here whose form or check makes a chance hit rare.
"""

from collections.abc import Callable, Iterator

import re2
from stdnum import iban, luhn
from stdnum.be import nn as belgium
from stdnum.br import cpf as brazil
from stdnum.ch import ssn as switzerland
from stdnum.de import idnr as germany
from stdnum.es import dni as spain
from stdnum.es import nie as spain_foreign
from stdnum.fr import nir as france
from stdnum.it import codicefiscale as italy
from stdnum.pl import pesel as poland
from stdnum.se import personnummer as sweden
from stdnum.us import ssn as america

Check = Callable[[str], bool]
Found = tuple[int, int, str]  # start, end, kind

DIGITS = (8, 15)  # of a phone number with its country's code: E.164
CARD_DIGITS = (13, 19)


def _digits(text: str) -> str:
    return "".join(char for char in text if char.isdigit())


def _is_phone(text: str) -> bool:
    return DIGITS[0] <= len(_digits(text)) <= DIGITS[1]


def _is_card(text: str) -> bool:
    number = _digits(text)
    return (
        CARD_DIGITS[0] <= len(number) <= CARD_DIGITS[1]
        and number[0] in "23456"
        and len(set(number)) > 1
        and bool(luhn.is_valid(number))
    )


def _pattern(expression: str) -> "re2._Regexp":
    return re2.compile(expression, _quiet())


def _quiet() -> "re2.Options":
    options = re2.Options()
    options.log_errors = False
    return options


# Kind → expression and check. What stands around a number must not be more of it.
KINDS: dict[str, tuple[tuple["re2._Regexp", Check], ...]] = {
    "email": (
        (
            _pattern(r"[\w.!#$%&'*+/=?^`{|}~-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,24}\b"),
            lambda text: True,
        ),
    ),
    "phone": (
        (_pattern(r"(?:\+|\b00)[1-9](?:[ ./()-]{0,3}\d){6,14}\b"), _is_phone),
        (_pattern(r"(?:\(\d{3}\) ?|\b\d{3}[-.])\d{3}[-.]\d{4}\b"), lambda text: True),
        (
            _pattern(
                r"(?i)\b(?:tel|phone|mobile|handy|fax|telefon|whatsapp)\w{0,6}[.:]{0,2} {0,3}"
                r"(?:no\.? ?)?[0(]\d?(?:[ ./()-]{0,3}\d){5,13}\b"
            ),
            lambda text: True,
        ),
    ),
    "iban": ((_pattern(r"(?i)\b[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}\b"), iban.is_valid),),
    "card": ((_pattern(r"\b\d(?:[ -]?\d){12,18}\b"), _is_card),),
    "national_id": (
        (_pattern(r"\b\d{3}-\d{2}-\d{4}\b"), america.is_valid),
        (_pattern(r"\b\d{2} \d{3} \d{3} \d{3}\b|\b\d{11}\b"), germany.is_valid),
        (_pattern(r"\b[12](?: ?\d){2}(?: ?\d){2}(?: ?[\dAB]){2}(?: ?\d){8}\b"), france.is_valid),
        (_pattern(r"(?i)\b\d{8}[ -]?[A-Z]\b"), spain.is_valid),
        (_pattern(r"(?i)\b[XYZ][ -]?\d{7}[ -]?[A-Z]\b"), spain_foreign.is_valid),
        (
            _pattern(r"(?i)\b[A-Z]{6}[\dL-V]{2}[A-Z][\dL-V]{2}[A-Z][\dL-V]{3}[A-Z]\b"),
            italy.is_valid,
        ),
        (_pattern(r"\b\d{11}\b"), poland.is_valid),
        (_pattern(r"\b(?:\d{2})?\d{6}[-+]\d{4}\b"), sweden.is_valid),
        (_pattern(r"\b\d{3}\.\d{3}\.\d{3}-\d{2}\b"), brazil.is_valid),
        (_pattern(r"\b756\.?\d{4}\.?\d{4}\.?\d{2}\b"), switzerland.is_valid),
        (_pattern(r"\b\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}\b"), belgium.is_valid),
    ),
}
_MOST = 1_000  # candidates looked at in one window


def find(text: str, kinds: frozenset[str]) -> Iterator[Found]:
    """Personal data of these kinds in a text without invisible characters; no lone surrogates."""
    if not any(char.isdigit() for char in text):
        kinds = kinds & {"email"}
    if "@" not in text:
        kinds = kinds - {"email"}
    for kind in sorted(kinds):
        for expression, check in KINDS[kind]:
            for number, match in enumerate(expression.finditer(text)):
                if number == _MOST:
                    break
                if check(match.group()):
                    yield match.start(), match.end(), kind
