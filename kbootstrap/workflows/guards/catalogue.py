"""The guards by the names that playbooks use."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType

from kbootstrap.workflows.guards.addresses import vips_elsewhere
from kbootstrap.workflows.guards.balancers import apiserver_away, out_of_balancers
from kbootstrap.workflows.guards.drain import drained
from kbootstrap.workflows.guards.forwarding import out_of_lvs
from kbootstrap.workflows.guards.pods import no_new_failures
from kbootstrap.workflows.guards.scene import Scene

Guard = Callable[[Scene], AbstractContextManager[None]]

GUARDS: Mapping[str, Guard] = MappingProxyType(
    {
        "out-of-balancers": out_of_balancers,
        "apiserver-away": apiserver_away,
        "drained": drained,
        "no-new-failures": no_new_failures,
        "out-of-lvs": out_of_lvs,
        "vips-elsewhere": vips_elsewhere,
    }
)
