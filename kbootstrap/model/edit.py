"""One value of an inventory changed in its file, everything else (comments, order, quotes) left as it is."""

import os
from pathlib import Path

from kbootstrap.errors import InvalidInput
from kbootstrap.model.document import parse_document, read_text
from kbootstrap.model.versions import Version

_PLACE = ("cluster", "kubernetes")


def set_version(path: Path, version: Version) -> bool:
    """Writes the cluster's version into an inventory, atomically; whether that changed it.

    Raises InvalidInput when the value does not stand in this file as plain text (an anchor, say).
    """
    document = parse_document(read_text(path), path)
    mark = document.place(_PLACE)
    cluster = document.value.get("cluster")
    written = str(cluster["kubernetes"]) if isinstance(cluster, dict) and "kubernetes" in cluster else ""
    if written.removeprefix("v") == str(version):
        return False
    line = document.lines[mark.line - 1]
    head, rest = line[: mark.column - 1], line[mark.column - 1 :]
    quote = rest[:1] if rest[:1] in ("'", '"') else ""
    if not written or not rest.startswith(f"{quote}{written}"):
        raise InvalidInput(f"{path} does not have the version as plain text", hint=f"write kubernetes: {version}")
    rest = quote + str(version) + rest[len(quote) + len(written) :]
    lines = [*document.lines[: mark.line - 1], head + rest, *document.lines[mark.line :]]
    _replace(path, "\n".join(lines))
    return True


def _replace(path: Path, text: str) -> None:
    target = path.resolve()
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.chmod(target.stat().st_mode & 0o7777)
        temporary.replace(target)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}") from error
