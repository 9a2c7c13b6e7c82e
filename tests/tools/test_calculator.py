"""Arithmetic, and what is refused before it costs anything."""

import time

import pytest

from chat.tools.base import Context, InvalidArguments, ToolFailed
from chat.tools.calculator import EXPRESSION_CHARS, calculator


async def calculate(expression: str, context: Context) -> str:
    calculator.check({"expression": expression})
    return await calculator.run({"expression": expression}, context)


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("2 + 3 * 4", "14"),
        ("(2 + 3) * -4", "-20"),
        ("7 // 2 + 7 % 4", "6"),
        ("0.1 + 0.2", "0.3"),
        ("8 / 2", "4"),
        ("1 / 3", "0.333333333333333"),
        ("2 ** 100", "1267650600228229401496703205376"),
        ("2 ** -2", "0.25"),
        ("sqrt(2) * cos(pi)", "-1.4142135623731"),
        ("round(10 / 3, 2)", "3.33"),
        ("max(1, 2, 3) + factorial(5) + gcd(12, 18)", "129"),
        ("1e20", "1e+20"),
        (" 1_000 + 1 ", "1001"),
    ],
)
async def test_it_calculates(expression: str, result: str, context: Context) -> None:
    assert await calculate(expression, context) == result


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("1 / 0", "Division by zero"),
        ("1 % 0", "Division by zero"),
        ("2 ^ 3", r"written \*\*"),
        ("1 +", "not an arithmetic expression"),
        ("a + 1", "no value of this name"),
        ("open(1)", "no function of this name"),
        ("(1).__class__", "Only numbers"),
        ("().__class__", "Only numbers"),
        ("'a' * 9", "Only numbers"),
        ("True + 1", "Only numbers"),
        ("[1 for x in (1, 2)]", "Only numbers"),
        ("max(1, 2, key=abs)", "Only numbers"),
        ("1 if 2 else 3", "Only numbers"),
        ("1j * 2", "Only numbers"),
        ("(-8) ** 0.5", "not a real number"),
        ("sqrt(-1)", "does not take"),
        ("sqrt(1, 2)", "does not take"),
        ("sqrt + 1", "does not take"),
        ("factorial(401)", "from 0 to 400"),
        ("factorial(2.5)", "from 0 to 400"),
        ("round(1, 400)", "at most"),
        ("9 ** 9 ** 9", "too large"),
        ("2 ** 5000", "too large"),
        ("2 ** -100000", "too large"),
        ("10.0 ** 400", "too large"),
        ("1e308 * 10", "too large"),
        ("1e999", "too large"),
        ("1e308 * 10 - 1e308 * 10", "too large"),
        ("factorial(400) * factorial(400)", "too large"),
        ("-" * 400 + "1", "nested too deeply|not an arithmetic"),
        ("(" * 240 + "1" + ")" * 240, "not an arithmetic"),
        ("\0", "not an arithmetic"),
    ],
)
async def test_it_says_why_not(expression: str, words: str, context: Context) -> None:
    started = time.process_time()
    with pytest.raises(ToolFailed, match=words):
        await calculate(expression, context)
    assert time.process_time() - started < 0.5  # some milliseconds, on a machine that is busy


def test_a_long_expression_is_invalid() -> None:
    with pytest.raises(InvalidArguments, match="expression: "):
        calculator.check({"expression": "1" * (EXPRESSION_CHARS + 1)})
