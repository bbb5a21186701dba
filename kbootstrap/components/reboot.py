"""Booting a host anew, for a kernel or other packages that only then are in use."""

from kbootstrap.components.site import Site
from kbootstrap.steps.reboot import Reboot
from kbootstrap.steps.step import Step


def reboot(site: Site) -> list[Step]:
    """One boot, where a run has marked the host or its packages ask for it."""
    return [Reboot()]
