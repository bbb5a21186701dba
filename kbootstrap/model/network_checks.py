"""Whether the addresses of a cluster go together: hosts, VIP, pods, Services, node ports."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network

from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.model.document import Location
from kbootstrap.model.finding import Finding
from kbootstrap.model.inventory import Inventory
from kbootstrap.model.ranges import unusable

SERVICES_PREFIXES = range(12, 29)
"""Sizes of the services' range: kube-apiserver takes at most /12, and cluster DNS is its tenth address."""
MOST_RANGE_BITS = 16
"""kube-controller-manager cuts a pods' range into at most 2^16 node ranges."""
PODS_PER_NODE = 110
"""kubelet's default of maxPods."""
NEAR, FAR = 24, 16
"""A VIP in the same /24 as a control-plane host is taken for right, outside its /16 for wrong. What the subnet
really is, preflight reads from the hosts, and `network.hosts` states."""
TAKEN_PORTS = {
    2379: "etcd",
    2380: "etcd",
    10249: "kube-proxy",
    10250: "kubelet",
    10256: "kube-proxy",
    10257: "kube-controller-manager",
    10259: "kube-scheduler",
}

_CANDIDATES = tuple(IPv4Network("10.0.0.0/8").subnets(new_prefix=16))[200:]
_PODS = ("network", "pods")
_SERVICES = ("network", "services")
_VIP = ("cluster", "endpoint", "vip")


def ranges(_inventory: Inventory, cluster: Cluster) -> Iterator[Finding]:
    """Pods, Services and hosts have addresses of their own."""
    network = cluster.settings.network
    for where, named in ((_PODS, network.pods), (_SERVICES, network.services)):
        reason = unusable(named)
        if reason:
            yield Finding(where, f"{named} cannot be used: {reason}", "such as 10.0.0.0/8, or a part of it")
    if network.pods.overlaps(network.services):
        message = f"the services' range {network.services} overlaps the pods' range {network.pods}"
        yield Finding(_SERVICES, message, "give each a range of its own")
    for index, subnet in enumerate(network.hosts):
        for name, other in (("pods", network.pods), ("services", network.services)):
            if subnet.overlaps(other):
                message = f"the hosts' subnet {subnet} overlaps network.{name} {other}"
                yield Finding(("network", "hosts", index), message, _other_range(name, cluster))


def outside_addresses(_inventory: Inventory, cluster: Cluster) -> Iterator[Finding]:
    """No host, VIP or load balancer has an address that the cluster gives to its pods or Services."""
    network = cluster.settings.network
    for where, address in _outside(cluster):
        for name, inside in (("pods", network.pods), ("services", network.services)):
            if address in inside:
                message = f"{address} lies in network.{name} {inside}"
                yield Finding(where, message, _other_range(name, cluster))


def subnets(_inventory: Inventory, cluster: Cluster) -> Iterator[Finding]:
    """With `network.hosts`, every host's address lies in it."""
    allowed = cluster.settings.network.hosts
    for host in cluster.hosts if allowed else ():
        if not any(host.address in subnet for subnet in allowed):
            message = f"{host.address} lies outside network.hosts {', '.join(str(subnet) for subnet in allowed)}"
            yield Finding(("hosts", host.name, "address"), message)


def vips(_inventory: Inventory, cluster: Cluster) -> Iterator[Finding]:
    """Each VIP is nobody else's address, and where the hosts are that may hold it."""
    owners: dict[IPv4Address, str] = {}
    for where, address in _vips(cluster):
        yield from _vip(where, address, cluster)
        owner = owners.setdefault(address, ".".join(where))
        if owner != ".".join(where):
            yield Finding(where, f"{address} is {owner} already", "each VIP is an address of its own")


def _vip(where: Location, address: IPv4Address, cluster: Cluster) -> Iterator[Finding]:
    reason = unusable(address)
    if reason:
        yield Finding(where, f"{address} cannot be a VIP: {reason}")
        return
    for host in cluster.hosts:
        if host.address == address:
            hint = f"a VIP is an address of its own, held by one {_holders(cluster)} host at a time"
            yield Finding(where, f"{address} is the address of {host.name}", hint)
            return
    yield from _vip_place(where, address, cluster)


def _vip_place(where: Location, address: IPv4Address, cluster: Cluster) -> Iterator[Finding]:
    allowed, hosts = cluster.settings.network.hosts, cluster.vip_hosts
    hint = "say network.hosts: [RANGE, …] if the hosts' subnets really include it"
    if allowed:
        if not any(address in subnet for subnet in allowed):
            yield Finding(where, f"the VIP {address} lies outside network.hosts")
    elif hosts and not _shares(address, hosts, FAR):
        message = f"the VIP {address} is not in the subnet of the {_holders(cluster)} hosts ({hosts[0].address} …)"
        yield Finding(where, message, hint)
    elif hosts and not _shares(address, hosts, NEAR):
        message = f"the VIP {address} may not be in the subnet of the {_holders(cluster)} hosts"
        yield Finding(where, message, f"preflight finds out; {hint}", warning=True)


def _holders(cluster: Cluster) -> str:
    return "control-plane" if cluster.settings.endpoint.mode == "vip" else "load-balancer"


def _shares(address: IPv4Address, hosts: Iterable[Host], prefix: int) -> bool:
    near = IPv4Network((address, prefix), strict=False)
    return any(host.address in near for host in hosts)


def sizes(_inventory: Inventory, cluster: Cluster) -> Iterator[Finding]:
    """The ranges are large enough for this cluster, and not too large for its daemons."""
    network = cluster.settings.network
    if network.services.prefixlen not in SERVICES_PREFIXES:
        smallest, largest = SERVICES_PREFIXES[-1], SERVICES_PREFIXES[0]
        message = f"the services' range {network.services} must be between /{largest} and /{smallest}"
        yield Finding(_SERVICES, message, "cluster DNS has its tenth address")
    bits = network.node_prefix - network.pods.prefixlen
    where = ("network", "node_prefix")
    if bits < 0:
        message = f"each node's range (/{network.node_prefix}) is larger than that of all pods ({network.pods})"
        yield Finding(where, message, f"a number from {network.pods.prefixlen} to 30")
    elif bits > MOST_RANGE_BITS:
        message = f"{network.pods} cannot be cut into ranges as small as /{network.node_prefix}"
        yield Finding(where, message, f"at most /{network.pods.prefixlen + MOST_RANGE_BITS}")
    elif len(cluster.nodes) > 2**bits:
        message = f"{network.pods} has {2**bits} node ranges of /{network.node_prefix} for {len(cluster.nodes)} nodes"
        yield Finding(_PODS, message, "make the pods' range larger or each node's smaller (node_prefix)")
    pods = cluster.settings.kubelet.config.get("maxPods", PODS_PER_NODE)
    room = 2 ** (32 - network.node_prefix) - 2
    if isinstance(pods, int) and room < pods:
        message = f"a node's range of /{network.node_prefix} has {room} addresses for {pods} pods"
        yield Finding(where, message, "or set kubelet.config.maxPods", warning=True)


def node_ports(_inventory: Inventory, cluster: Cluster) -> Iterator[Finding]:
    """The range is one, and leaves out the ports that are taken."""
    where = ("network", "node_ports")
    first, last = (int(part) for part in cluster.settings.network.node_ports.split("-"))
    if not 1 <= first <= last <= 65535:
        yield Finding(where, f"{first}-{last} is no range of ports", "such as 30000-32767")
        return
    taken = {host.ssh.port: "sshd" for host in cluster.hosts}
    taken |= {**TAKEN_PORTS, cluster.settings.endpoint.port: "the API"}
    for port, owner in sorted(taken.items()):
        if first <= port <= last:
            yield Finding(where, f"{first}-{last} includes {port}, the port of {owner}")


def _outside(cluster: Cluster) -> Iterator[tuple[tuple[str, ...], IPv4Address]]:
    for host in cluster.hosts:
        yield ("hosts", host.name, "address"), host.address
    yield from _vips(cluster)
    try:
        yield ("cluster", "endpoint", "address"), IPv4Address(cluster.settings.endpoint.address or "")
    except ValueError:
        return


def _vips(cluster: Cluster) -> Iterator[tuple[tuple[str, ...], IPv4Address]]:
    if cluster.settings.endpoint.vip is not None:
        yield _VIP, cluster.settings.endpoint.vip
    for name, instance in cluster.settings.load_balancer.instances.items():
        yield ("load_balancer", "instances", name, "vip"), instance.vip


def _other_range(name: str, cluster: Cluster) -> str:
    """Advice to take another range for `network.name`, with one that nothing of this cluster is in."""
    network = cluster.settings.network
    used = [network.pods, network.services, *network.hosts, *(IPv4Network(a) for _, a in _outside(cluster))]
    free = (range_ for range_ in _CANDIDATES if not any(range_.overlaps(other) for other in used))
    example = next(free, None)
    return f"give network.{name} another range" + (f", such as {example}" if example else "")
