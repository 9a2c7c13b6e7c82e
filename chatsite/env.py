"""The environment, read once and checked: a bad value stops the start and names its variable.

``environs`` does the parsing and collects every error before it raises, so that an operator sees
all of them at once. The parsers here are for what it does not know.
"""

import contextlib
import ipaddress
import os
import re
import secrets
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path

from environs import Env, EnvError, EnvValidationError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class BadEnvironment(Exception):
    """The environment holds a value that Parley cannot start with."""


env = Env(eager=False)


def seal() -> None:
    """Raise BadEnvironment with one line per bad variable, if there are any."""
    try:
        env.seal()
    except EnvValidationError as error:
        messages = dict(error.error_messages)  # type: ignore[arg-type]  # a mapping, from seal()
        lines = [f"  {name}: {' '.join(map(str, found))}" for name, found in messages.items()]
        raise BadEnvironment("\n".join(lines)) from None


def require(condition: bool, variable: str, message: str) -> None:
    """Stop the start unless the condition holds."""
    if not condition:
        raise BadEnvironment(f"  {variable}: {message}")


@env.parser_for("names")
def names(value: str) -> Sequence[str]:
    r"""Comma-separated names; a comma inside a name is written ``\,``."""
    parts = re.split(r"(?<!\\),", value)
    return [name for part in parts if (name := part.replace("\\,", ",").strip())]


@env.parser_for("seconds")
def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        raise EnvError(f"not a number of seconds: {value!r}") from None
    if not 0 <= seconds < 1e6:
        raise EnvError(f"out of range: {value!r}")
    return seconds


@env.parser_for("grace")
def _grace(value: str) -> float | None:
    """Seconds, or ``never`` (None)."""
    return None if value.strip().lower() == "never" else _seconds(value)


@env.parser_for("networks")
def _networks(value: str) -> Sequence[Network]:
    try:
        return [ipaddress.ip_network(part.strip()) for part in value.split(",") if part.strip()]
    except ValueError as error:
        raise EnvError(str(error)) from None


@env.parser_for("prices")
def prices(value: str) -> dict[str, tuple[Decimal, Decimal]]:
    r"""``model=input/output`` of a million tokens, comma-separated; ``\,`` as in names.

    A model's name may itself hold ``=``: the last one counts.
    """
    found = {}
    for part in names(value):
        model, _, pair = part.rpartition("=")
        before, _, after = pair.partition("/")
        try:
            price = Decimal(before), Decimal(after)
        except InvalidOperation:
            raise EnvError(f"not model=input/output: {part!r}") from None
        if not model or not all(one.is_finite() and one >= 0 for one in price):
            raise EnvError(f"not model=input/output: {part!r}")
        found[model] = price
    return found


def kept_secret(path: Path) -> str:
    """The secret kept in this file, made at the first call with mode 600.

    Two processes that start together agree: the file is created exclusively, the loser reads it.
    """
    with contextlib.suppress(FileExistsError):
        path.parent.mkdir(parents=True, exist_ok=True)
        made = path.with_suffix(f".{os.getpid()}")
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(50))
        try:
            os.link(made, path)
        finally:
            made.unlink()
    return path.read_text().strip()
