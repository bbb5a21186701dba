"""Whether the hosts of an inventory make a cluster: roles, etcd members, addresses, groups, jump hosts."""

from collections.abc import Iterable, Iterator

from kbootstrap.model.cluster import Cluster
from kbootstrap.model.finding import Finding
from kbootstrap.model.inventory import Inventory
from kbootstrap.model.mistakes import did_you_mean
from kbootstrap.model.ranges import unusable
from kbootstrap.model.resolve import ALL, JumpLoop, jumps, members

MOST_ETCD_MEMBERS = 7
"""etcd's own advice: more make every write slower."""

_SHOWN = 8
"""Names in a hint."""


def roles(_inventory: Inventory, cluster: Cluster) -> Iterator[Finding]:
    """There is a control plane, and no host without a task."""
    if not cluster.control_planes:
        hint = "three hosts with roles: [control-plane] survive the loss of any one"
        yield Finding(("hosts",), "no host has the role control-plane", hint)
    for host in cluster.hosts:
        if not host.roles:
            hint = "control-plane, worker, etcd or load-balancer, here or in one of its groups"
            yield Finding(("hosts", host.name), "this host has no role", hint)


def etcd_members(_inventory: Inventory, cluster: Cluster) -> Iterator[Finding]:
    """Their number is odd: an even one is more to fail and survives no more."""
    names = [host.name for host in cluster.etcd_members]
    count = len(names)
    survived = (count - 1) // 2
    if count and count % 2 == 0:
        where = (
            "hosts with the role etcd"
            if cluster.etcd_members != cluster.control_planes
            else "control-plane hosts, each with etcd on it"
        )
        reason = (
            f"an even number of etcd members: {count} survive the loss of {survived or 'none'}, "
            f"just like {count - 1}, with one more that can fail"
        )
        hint = f"{where}: {', '.join(names)}; make it {count - 1} or {count + 1}"
        yield Finding(("hosts",), reason, hint)
    if count > MOST_ETCD_MEMBERS:
        hint = f"{MOST_ETCD_MEMBERS} are the most that etcd advises: every write waits for more of them"
        yield Finding(("hosts",), f"{count} etcd members are many", hint, warning=True)


def addresses(_inventory: Inventory, cluster: Cluster) -> Iterator[Finding]:
    """Every host has one of its own that others can reach."""
    owners: dict[object, str] = {}
    logins: dict[object, str] = {}
    for host in cluster.hosts:
        where = ("hosts", host.name, "address")
        reason = unusable(host.address)
        if reason:
            yield Finding(where, f"{host.address} cannot be a host's address: {reason}")
        owner = owners.setdefault(host.address, host.name)
        if owner != host.name:
            yield Finding(where, f"{host.address} is the address of {owner} already")
            continue
        login = (host.ssh_address or str(host.address), host.ssh.port, host.ssh.jump)
        owner = logins.setdefault(login, host.name)
        if owner != host.name:
            message = f"SSH finds {owner} at {login[0]} port {host.ssh.port} already"
            yield Finding(("hosts", host.name, "ssh_address"), message)


def names(_inventory: Inventory, cluster: Cluster) -> Iterator[Finding]:
    """No host is called like what every machine calls itself."""
    if any(host.name == "localhost" for host in cluster.hosts):
        yield Finding(("hosts", "localhost"), "'localhost' is every machine's own name", "give it another name")


def group_members(inventory: Inventory, _cluster: Cluster) -> Iterator[Finding]:
    """Groups name hosts that exist."""
    for group_name, group in inventory.groups.items():
        where = ("groups", group_name, "hosts")
        if group_name == ALL and group.hosts:
            yield Finding(where, f"the group {ALL!r} has every host", "leave `hosts` out")
            continue
        for index, pattern in enumerate(group.hosts):
            if not members([pattern], inventory.hosts):
                better = did_you_mean(pattern, inventory.hosts)
                hint = f"did you mean {better!r}?" if better else f"hosts: {_some(inventory.hosts)}"
                yield Finding((*where, index), f"{pattern!r} is no host of this inventory", hint)
        if group_name != ALL and not group.hosts:
            yield Finding(("groups", group_name), "this group has no hosts", warning=True)


def jump_hosts(_inventory: Inventory, cluster: Cluster) -> Iterator[Finding]:
    """No host is reached through itself."""
    by_name = {host.name: host for host in cluster.hosts}
    for host in cluster.hosts:
        try:
            jumps(host, by_name)
        except JumpLoop as loop:
            message = f"the jump hosts lead in a circle: {loop}"
            yield Finding(("hosts", host.name, "ssh", "jump"), message, "one of them must be reached directly")
            return


def nodes(inventory: Inventory, cluster: Cluster) -> Iterator[Finding]:
    """Labels and taints are for hosts on which a kubelet runs."""
    for host in cluster.hosts:
        entry = inventory.hosts[host.name]
        for key in ("labels", "taints"):
            if getattr(entry, key) and host.roles and not host.is_node:
                hint = f"Kubernetes does not know this host: it has only the role {', '.join(sorted(host.roles))}"
                yield Finding(("hosts", host.name, key), f"{key} have no effect here", hint, warning=True)


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
