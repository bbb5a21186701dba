"""Options that several commands share."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kbootstrap.errors import InvalidInput
from kbootstrap.events import Event, Note

if TYPE_CHECKING:
    from kbootstrap.model.cluster import Cluster
    from kbootstrap.model.settings import Serial

Inventory = Annotated[Path, typer.Option("--inventory", "-i", help="The cluster's inventory.", show_default=True)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Limit = Annotated[
    list[str] | None, typer.Option("--limit", "-l", help="Only these hosts or roles (may be given again).")
]
Batch = Annotated[str | None, typer.Option("--batch", help="Workers at a time: a number, or N%.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

DEFAULT_INVENTORY = Path("inventory.yml")


def load(inventory: Path) -> "Cluster":
    """The cluster that the inventory describes; warnings go to standard error."""
    from kbootstrap.artifacts.catalogue import load_catalogue  # noqa: PLC0415 - heavy; not for --help
    from kbootstrap.model.load import load_inventory  # noqa: PLC0415

    return load_inventory(inventory, environ=os.environ, known=tuple(load_catalogue().releases), emit=_warn)


def batch_size(text: str | None) -> "Serial | None":
    """What `--batch` says. Raises InvalidInput."""
    from pydantic import TypeAdapter  # noqa: PLC0415

    from kbootstrap.model.settings import Serial  # noqa: PLC0415

    if text is None:
        return None
    try:
        size: Serial = TypeAdapter(Serial).validate_python(int(text) if text.isdecimal() else text)
    except ValueError:  # pydantic's are, too
        raise InvalidInput(f"--batch: {text!r} is neither a number above 0 nor a percentage", hint="e.g. 20%") from None
    return size


def _warn(event: Event) -> None:
    if isinstance(event, Note):
        typer.echo(f"{event.level}: {event.text}", err=True)


def write(path: Path, text: str) -> None:
    """Writes a file that the user asked for. Raises InvalidInput."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}") from error


def write_whole(path: Path, text: str) -> None:
    """The same for a file that others read at any time: they find the old text or the new. Raises InvalidInput."""
    new = path.with_name(f".{path.name}.new")
    write(new, text)
    try:
        new.chmod(0o644)
        new.replace(path)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}") from error
