"""Reading an inventory: from a path to the cluster it means, or to every problem that it has."""

from collections.abc import Collection, Mapping
from pathlib import Path

from pydantic import ValidationError

from kbootstrap.errors import InvalidInput
from kbootstrap.events import Sink, ignore
from kbootstrap.model.cluster import Cluster
from kbootstrap.model.document import read_document
from kbootstrap.model.inventory import Inventory
from kbootstrap.model.resolve import Surroundings, resolve, route_jumps
from kbootstrap.model.versions import Version


def load_inventory(
    path: Path,
    *,
    environ: Mapping[str, str],
    known: Collection[Version] | None = None,
    local: bool = True,
    emit: Sink = ignore,
) -> Cluster:
    """The cluster that the inventory at `path` describes.

    `environ` says what `~` is and which variables exist; `known` are the Kubernetes versions there are (None: any
    is taken); `local` whether files and variables that the inventory names must exist on this machine. What is
    allowed but unwise goes to `emit`. Raises InvalidInput with every problem found.
    """
    document = read_document(path)
    around = Surroundings(path.absolute().parent, Path(environ.get("HOME", "/")))
    try:
        inventory = Inventory.model_validate(document.value)
    except ValidationError as error:
        problems = [document.problem(e["loc"], e["msg"]) for e in error.errors()]
        raise InvalidInput(f"{path} is not a valid inventory", problems) from None
    return route_jumps(resolve(inventory, around))
