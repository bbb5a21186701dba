"""What a check of an inventory has to say."""

from dataclasses import dataclass

from kbootstrap.model.document import Location


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong, or with `warning` only unwise, with what is at `location`."""

    location: Location
    message: str
    hint: str | None = None
    warning: bool = False
