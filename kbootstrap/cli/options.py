"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Inventory = Annotated[
    Path, typer.Option("--inventory", "-i", help="The cluster's inventory.", show_default=True)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Limit = Annotated[
    list[str] | None, typer.Option("--limit", "-l", help="Only these hosts or roles (may be given again).")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

DEFAULT_INVENTORY = Path("inventory.yml")
