"""This process: what it is, since when, and what it depends on."""

import os
import socket
import time
import tomllib
from functools import cache

from django.conf import settings

from chat import services
from chat.delivery.open_page import open_pages

# The URLs, and this with them, are loaded by the checks before the server listens.
_STARTED = time.monotonic()

HOST = socket.gethostname()


@cache
def version() -> str:
    """The version in pyproject.toml: Parley runs from its directory and is not installed."""
    with (settings.BASE_DIR / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def pid() -> int:
    return os.getpid()


def uptime_s() -> float:
    return time.monotonic() - _STARTED


def pages() -> int:
    """How many pages this process serves at present."""
    return len(open_pages())


def worker() -> str:
    """The name of the worker in this process; empty where replies are written elsewhere."""
    current = services.current()
    return current.worker.name if current is not None and current.worker is not None else ""


def redis() -> str:
    """As this process has met it last, so that the page need not wait for one that hangs."""
    current = services.current()
    return "ok" if current is None or current.log.available else "unavailable"
