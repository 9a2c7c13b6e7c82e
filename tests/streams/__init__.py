"""Bodies of event streams as providers send them, each named for the quirk that it has.

These were written after the providers' documentation and bug reports; a captured one says so in its
name. `load(name)` gives the bytes, `names()` all names. The files are what travels: no line end may
be changed in them (see .gitattributes beside them).
"""

from pathlib import Path

HERE = Path(__file__).parent


def names() -> list[str]:
    return sorted(path.stem for path in HERE.glob("*.sse"))


def load(name: str) -> bytes:
    return (HERE / f"{name}.sse").read_bytes()
