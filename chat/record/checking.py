"""Is an export what its manifest says, and is the manifest ours?"""

import hashlib
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chat.record import signing

PIECE = 1 << 20


@dataclass(slots=True)
class Checked:
    """``manifest`` as it was read; ``problems`` is empty when all is well."""

    manifest: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def check(path: Path, key: str) -> Checked:
    """Verify the signature with a public key, and each file against the manifest."""
    found = Checked()
    try:
        with zipfile.ZipFile(path) as archive:
            content = archive.read("manifest.json")
            if not signing.is_signed(content, archive.read("manifest.sig").decode("ascii"), key):
                found.problems.append("the manifest is not signed with this key")
            found.manifest = json.loads(content)
            for file in found.manifest["files"]:
                found.problems += _file(archive, file)
            known = {file["name"] for file in found.manifest["files"]}
            strangers = set(archive.namelist()) - known - {"manifest.json", "manifest.sig"}
            found.problems += [f"{name} is not in the manifest" for name in sorted(strangers)]
    except (OSError, zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
        found.problems.append(f"it cannot be read: {error}")
    return found


def _file(archive: zipfile.ZipFile, expected: dict[str, Any]) -> list[str]:
    digest, size = hashlib.sha256(), 0
    with archive.open(expected["name"]) as file:
        while piece := file.read(PIECE):
            digest.update(piece)
            size += len(piece)
    if (size, digest.hexdigest()) != (expected["size"], expected["sha256"]):
        return [f"{expected['name']} is not the file that was exported"]
    return []
