"""Bodies of answers as providers send them, each named for the quirk that it has.

`catalogue.py` says where each quirk is known from and what a reader should get. The files were
written after the providers' documentation and bug reports; a captured one says so in its name. They
are what travels: no line end may be changed in them (see .gitattributes beside them).
"""

from .catalogue import RECORDED, Recorded

__all__ = ["RECORDED", "Recorded", "load", "names"]


def names() -> list[str]:
    return [recorded.name for recorded in RECORDED]


def load(name: str) -> bytes:
    (recorded,) = (each for each in RECORDED if each.name == name)
    return recorded.body
