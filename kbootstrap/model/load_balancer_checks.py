"""Whether the load balancers of an inventory can do what they are there for: roles, virtual IPs, router ids."""

from collections.abc import Iterator
from ipaddress import IPv4Address

from kbootstrap.model.cluster import Cluster, Role
from kbootstrap.model.document import Location
from kbootstrap.model.finding import Finding
from kbootstrap.model.inventory import Inventory
from kbootstrap.model.mistakes import did_you_mean

_ENDPOINT = ("cluster", "endpoint")
_SECTION = ("load_balancer",)
_EXTERNAL = "cluster: {endpoint: {mode: external, vip: ADDRESS}}"


def role(_inventory: Inventory, cluster: Cluster) -> Iterator[Finding]:
    """Load balancers have that role alone, and a virtual IP to hold; and the other way round."""
    endpoint = cluster.settings.endpoint
    for host in cluster.load_balancers:
        others = sorted(host.roles - {Role.LOAD_BALANCER})
        if others:
            hint = "a host of its own; a VIP on the control-plane hosts themselves is cluster: {endpoint: {vip: …}}"
            yield Finding(("hosts", host.name), f"a load balancer cannot be {' and '.join(others)} as well", hint)
    is_tier = endpoint.mode == "external" and endpoint.vip is not None
    if cluster.load_balancers and not is_tier:
        first = cluster.load_balancers[0].name
        yield Finding(_ENDPOINT, f"{first} is a load balancer, and has no virtual IP to hold", _EXTERNAL)
    if is_tier and not cluster.load_balancers:
        hint = "roles: [load-balancer] for two hosts; a load balancer that exists already is `address`"
        yield Finding((*_ENDPOINT, "vip"), "no host has the role load-balancer, to hold this VIP", hint)
    if is_tier and len(cluster.load_balancers) == 1:
        yield Finding(("hosts",), "one load balancer alone: with it, the API and all applications are gone", None, True)


def preferences(_inventory: Inventory, cluster: Cluster) -> Iterator[Finding]:
    """Virtual IPs prefer hosts that may hold them."""
    section = cluster.settings.load_balancer
    names = [host.name for host in cluster.load_balancers]
    wanted: list[tuple[Location, str | None]] = [((*_SECTION, "preferred"), section.preferred)]
    wanted += [((*_SECTION, "instances", name, "preferred"), one.preferred) for name, one in section.instances.items()]
    for where, name in wanted:
        if name is not None and name not in names:
            better = did_you_mean(name, names)
            hint = f"did you mean {better!r}?" if better else f"load balancers: {', '.join(names) or 'none'}"
            yield Finding(where, f"{name!r} is no load balancer of this inventory", hint)


def router_ids(_inventory: Inventory, cluster: Cluster) -> Iterator[Finding]:
    """Each virtual IP has a VRRP router id of its own."""
    owners: dict[int, IPv4Address] = {}
    names = (None, *cluster.settings.load_balancer.instances)
    for name, vip, number in zip(names, cluster.vips, cluster.router_ids, strict=False):
        owner = owners.setdefault(number, vip)
        if name is not None and owner != vip:
            where = (*_SECTION, "instances", name, "router_id")
            yield Finding(where, f"the VRRP router id {number} is that of {owner} already", "another from 1 to 255")


def unused(inventory: Inventory, cluster: Cluster) -> Iterator[Finding]:
    """The section says something about hosts that are there."""
    if "load_balancer" in inventory.model_fields_set and not cluster.load_balancers:
        yield Finding(_SECTION, "no host has the role load-balancer", f"two with it, and {_EXTERNAL}", warning=True)
