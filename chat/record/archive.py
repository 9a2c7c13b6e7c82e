"""A ZIP archive that is made while it is sent: nothing of it is kept in memory or on disk."""

import hashlib
import zipfile
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Written:
    """A file of the archive: what a manifest says of it."""

    name: str
    size: int
    sha256: str


class _Outgoing:
    """Where the archive is written to, and taken from as it grows. There is no way back in it."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        found = b"".join(self._parts)
        self._parts.clear()
        return found


@dataclass(slots=True)
class Archive:
    """``file`` for each file, then ``end``; both yield what is to be sent."""

    written: list[Written] = field(default_factory=list)
    _out: _Outgoing = field(default_factory=_Outgoing)
    _zip: zipfile.ZipFile = field(init=False)

    def __post_init__(self) -> None:
        self._zip = zipfile.ZipFile(self._out, "w", zipfile.ZIP_DEFLATED)

    async def file(self, name: str, pieces: AsyncIterator[str]) -> AsyncIterator[bytes]:
        digest, size = hashlib.sha256(), 0
        with self._zip.open(name, "w", force_zip64=True) as file:
            async for piece in pieces:
                data = piece.encode("utf-8", "replace")
                digest.update(data)
                size += len(data)
                file.write(data)
                yield self._out.take()
        self.written.append(Written(name, size, digest.hexdigest()))
        yield self._out.take()

    def end(self, files: Iterable[tuple[str, bytes]] = ()) -> bytes:
        """The last bytes, with small files that are known as a whole."""
        for name, content in files:
            self._zip.writestr(name, content)
        self._zip.close()
        return self._out.take()
