"""One value of an inventory changed in its file, everything else (comments, order, quotes) left as it is."""

import os
import re
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from kbootstrap.errors import InvalidInput
from kbootstrap.model.document import parse_document, read_text
from kbootstrap.model.versions import Version

_PLACE = ("cluster", "kubernetes")
_BYTE_ORDER_MARK = "\ufeff"
_SCHEDULE = re.compile(
    r"(?P<key> *schedule *:)(?: +(?:'[^']*'|\"[^\"\\\\]*\"|[^\s'\"#&*!|>{\[][^#]*?))?(?P<rest>\s*(?: #.*)?\r?)"
)
_SECTION = re.compile(r"backup *:[ \t]*(?:#.*?)?(?P<end>\r?)")


def set_version(path: Path, version: Version) -> bool:
    """Writes the cluster's version into an inventory, atomically; whether that changed it.

    Raises InvalidInput when the value does not stand in this file as plain text (an anchor, say).
    """
    document = parse_document(read_text(path), path)
    cluster = document.value.get("cluster")
    written = str(cluster["kubernetes"]) if isinstance(cluster, dict) and "kubernetes" in cluster else ""
    if written.removeprefix("v") == str(version):
        return False
    mark = document.place(_PLACE)
    head, lines = _as_written(path)
    before, rest = lines[mark.line - 1][: mark.column - 1], lines[mark.line - 1][mark.column - 1 :]
    quote = rest[:1] if rest[:1] in ("'", '"') else ""
    if not written or not rest.startswith(f"{quote}{written}"):
        raise InvalidInput(f"{path} does not have the version as plain text", hint=f"write kubernetes: {version}")
    lines[mark.line - 1] = before + quote + str(version) + rest[len(quote) + len(written) :]
    _replace(path, head + "\n".join(lines))
    return True


def set_schedule(path: Path, schedule: str | None) -> bool:
    """Writes when backups are made (None: only when asked) into an inventory, atomically; whether that changed it.

    Raises InvalidInput when the section does not stand there in lines of its own.
    """
    document = parse_document(read_text(path), path)
    section = document.value.get("backup")
    if not isinstance(section, dict) or not section:
        raise InvalidInput(f"{path} has no section backup", hint="write backup: {recipients: [age1…]}")
    if section.get("schedule") == schedule:
        return False
    head, lines = _as_written(path)
    value = "null" if schedule is None else f"'{schedule}'"
    if "schedule" in section:
        number = document.place(("backup", "schedule"), of_key=True).line - 1
        found = _SCHEDULE.fullmatch(lines[number])
        changed = [f"{found['key']} {value}{found['rest']}"] if found else []
    else:
        number = document.place(("backup",), of_key=True).line - 1
        found = _SECTION.fullmatch(lines[number])
        indent = " " * (document.place(("backup", next(iter(section))), of_key=True).column - 1)
        changed = [lines[number], f"{indent}schedule: {value}{found['end']}"] if found else []
    if not changed:
        raise InvalidInput(f"{path} does not have the schedule in a line of its own", hint=f"write schedule: {value}")
    lines[number : number + 1] = changed
    _replace(path, head + "\n".join(lines))
    return True


def _as_written(path: Path) -> tuple[str, list[str]]:
    """A byte-order mark if there is one, and the lines with the line breaks that a document does not show."""
    text = path.read_bytes().decode()
    head = _BYTE_ORDER_MARK if text.startswith(_BYTE_ORDER_MARK) else ""
    return head, text.removeprefix(head).split("\n")


def _replace(path: Path, text: str) -> None:
    """Nobody sees half a file, and nobody who may not read the file sees what becomes of it."""
    target = path.resolve()
    try:
        was = target.stat()
        with NamedTemporaryFile("wb", dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
            temporary = Path(file.name)
            try:
                with suppress(PermissionError):  # not everybody may give a file away
                    os.fchown(file.fileno(), was.st_uid, was.st_gid)
                os.fchmod(file.fileno(), was.st_mode & 0o7777)
                file.write(text.encode())
                file.flush()
                temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}") from error
