"""Arithmetic that a model should not do in its head.

The expression is a stranger's. It is a tree of numbers, operators and a few functions or it is
refused before anything is evaluated; whole numbers have at most NUMBER_BITS bits, so that no
product or power takes more than a few milliseconds.
"""

import ast
import math
import operator
from collections.abc import Callable
from typing import Any, cast

import simpleeval  # type: ignore[import-untyped]
from django.utils.translation import gettext_lazy as _
from pydantic import Field

from chat.tools.base import Context, ToolFailed
from chat.tools.functions import Arguments, tool

EXPRESSION_CHARS = 500
DEPTH = 60  # of the tree; simpleeval uses a few frames of the stack for each level
NUMBER_BITS = 4_096  # 1,233 digits; Python writes out 4,300 at most
LARGEST = 2**NUMBER_BITS
FACTORIAL_OF = 400  # the largest whose factorial is within NUMBER_BITS
DIGITS = 15  # what a float holds; more would show 0.1 + 0.2 as 0.30000000000000004

Number = int | float

ALLOWED = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.Constant, ast.Call, ast.Name, ast.Load),
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.USub, ast.UAdd),
)


def bounded(call: Callable[..., Any]) -> Callable[..., Number]:
    def checked(*values: Number) -> Number:
        result = call(*values)
        if isinstance(result, complex):
            raise ToolFailed("The result is not a real number.")
        if isinstance(result, int) and result.bit_length() > NUMBER_BITS:
            raise ToolFailed("A number in this calculation is too large.")
        if isinstance(result, float) and not math.isfinite(result):
            raise ToolFailed("A number in this calculation is too large, or not a number.")
        return cast(Number, result)

    return checked


def power(base: Number, exponent: Number) -> Any:
    whole = isinstance(base, int) and isinstance(exponent, int)
    # A negative exponent makes the same large number first, and then a float of it.
    if whole and max(int(base).bit_length() - 1, 0) * abs(exponent) > NUMBER_BITS:
        raise ToolFailed("A number in this calculation is too large.")
    return base**exponent


def factorial(number: Number) -> int:
    if not isinstance(number, int) or not 0 <= number <= FACTORIAL_OF:
        raise ToolFailed(f"factorial() takes a whole number from 0 to {FACTORIAL_OF}.")
    return math.factorial(number)


def rounded(number: Number, digits: Number = 0) -> Number:
    if not isinstance(digits, int) or abs(digits) > DIGITS:
        raise ToolFailed(f"round() takes a whole number of digits, at most {DIGITS}.")
    return round(number, digits) if digits else round(number)


OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: power,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "ceil": math.ceil,
    "cos": math.cos,
    "degrees": math.degrees,
    "exp": math.exp,
    "factorial": factorial,
    "floor": math.floor,
    "gcd": math.gcd,
    "log": math.log,
    "log10": math.log10,
    "log2": math.log2,
    "max": max,
    "min": min,
    "radians": math.radians,
    "round": rounded,
    "sin": math.sin,
    "sqrt": math.sqrt,
    "tan": math.tan,
}
NAMES = {"pi": math.pi, "e": math.e, "tau": math.tau}
KNOWN = ", ".join((*FUNCTIONS, *NAMES))


class Calculation(Arguments):
    expression: str = Field(
        min_length=1,
        max_length=EXPRESSION_CHARS,
        description=f"numbers, + - * / // % **, parentheses, and: {KNOWN}",
    )


@tool(_("Calculator"))
def calculator(arguments: Calculation, context: Context) -> str:
    """Calculate an arithmetic expression exactly, such as (17.5 + 3) * 12 or sqrt(2) ** 3."""
    expression = arguments.expression.strip()
    try:
        tree = ast.parse(expression, mode="eval")
        _refuse_strange(tree.body, 0)
        evaluator = simpleeval.SimpleEval(
            operators={kind: bounded(call) for kind, call in OPERATORS.items()},
            functions={name: bounded(call) for name, call in FUNCTIONS.items()},
            names=NAMES,
        )
        return written(evaluator.eval(expression, previously_parsed=tree.body))
    except (SyntaxError, MemoryError, RecursionError):
        raise ToolFailed("This is not an arithmetic expression.") from None
    except ZeroDivisionError:
        raise ToolFailed("Division by zero.") from None
    except OverflowError:
        raise ToolFailed("A number in this calculation is too large.") from None
    except (ValueError, TypeError):
        raise ToolFailed(
            "A function was given a value, or a number of them, that it does not take."
        ) from None


def _refuse_strange(node: ast.AST, depth: int) -> None:
    if depth > DEPTH:
        raise ToolFailed("The expression is nested too deeply.")
    if isinstance(node, ast.BitXor):
        raise ToolFailed("^ is not known; a power is written **.")
    strange = not isinstance(node, ALLOWED)
    if isinstance(node, ast.Constant):
        value = node.value
        strange = not isinstance(value, int | float) or isinstance(value, bool)
        if isinstance(value, int | float) and not abs(value) < LARGEST:
            raise ToolFailed("A number in this calculation is too large.")
    elif isinstance(node, ast.Call):
        strange = bool(node.keywords) or not isinstance(node.func, ast.Name)
        if isinstance(node.func, ast.Name) and node.func.id not in FUNCTIONS:
            raise ToolFailed(f"There is no function of this name; known are: {KNOWN}.")
    elif isinstance(node, ast.Name) and node.id not in FUNCTIONS and node.id not in NAMES:
        raise ToolFailed(f"There is no value of this name; known are: {KNOWN}.")
    if strange:
        raise ToolFailed("Only numbers, + - * / // % **, parentheses and functions are known.")
    for child in ast.iter_child_nodes(node):
        _refuse_strange(child, depth + 1)


def written(value: Number) -> str:
    """The number as people write it: 4 for 4.0, and no more digits than are known."""
    if isinstance(value, float):
        return (
            str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.{DIGITS}g}"
        )
    return str(value)
