"""From an Ansible inventory to one of ours: roles from groups, logins from variables, and notes about the rest."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address

from kbootstrap.model.ansible.groups import Groups, Variables, effective, host_names, hosts_of
from kbootstrap.model.ansible.login import Entry, Notes, take_login
from kbootstrap.model.nodes import Plain
from kbootstrap.model.versions import API_VERSION

ROLE_GROUPS = {
    "control-plane": (
        *("kube_control_plane", "kube-control-plane", "kube_master", "kube-master", "k8s_master", "k8s-master"),
        *("control_plane", "control-plane", "controlplane", "control_planes", "controllers", "masters", "master"),
    ),
    "worker": (
        *("kube_node", "kube-node", "kube_worker", "kube-worker", "k8s_node", "k8s-node", "k8s_worker"),
        *("workers", "worker", "nodes", "node", "minions"),
    ),
    "etcd": ("etcd", "etcd_nodes", "etcd_servers"),
}
"""The names that kubespray and the usual kubeadm playbooks give to their groups."""

_SETTINGS = {
    "kube_pods_subnet": ("network", "pods"),
    "kube_service_addresses": ("network", "services"),
    "kube_network_node_prefix": ("network", "node_prefix"),
    "dns_domain": ("network", "domain"),
    "kube_proxy_mode": ("kube_proxy", "mode"),
    "supplementary_addresses_in_ssl_keys": ("kube_apiserver", "extra_sans"),
}
"""kubespray's variables of the whole cluster, and where they belong here."""
_INNER_ADDRESS = ("ip",)
_OUTER_ADDRESS = ("ansible_host", "ansible_ssh_host")
"""How the hosts reach each other, and how Ansible reaches them."""
_WITHOUT_MEANING = ("ansible_python_interpreter", "ansible_ssh_pipelining", "etcd_member_name", "access_ip")
_LABEL = re.compile(r"[^a-z0-9]+")


class NoRoles(Exception):
    """No host is in a group that says what it is for."""


@dataclass(frozen=True, slots=True)
class Imported:
    """An inventory of ours as plain values, and what a person should know about how it came to be."""

    value: Entry
    notes: list[str]


def convert(groups: Groups, *, name: str, kubernetes: str) -> Imported:
    """The inventory that an Ansible inventory amounts to; raises NoRoles."""
    notes = Notes()
    roles = {
        role: frozenset(host for group in known for host in hosts_of(group, groups))
        for role, known in ROLE_GROUPS.items()
    }
    if roles["etcd"] == roles["control-plane"]:
        roles["etcd"] = frozenset()
    wanted = [host for host in host_names(groups) if any(host in hosts for hosts in roles.values())]
    if not wanted:
        raise NoRoles
    for host in host_names(groups):
        if host not in wanted:
            notes.add(f"{host} is in no group that says its role: left out")
    cluster: Entry = {"name": name, "kubernetes": kubernetes}
    value: Entry = {"apiVersion": API_VERSION, "cluster": cluster, "ssh": {}}
    hosts: dict[str, Entry] = {}
    for host, label in _labels(wanted, notes).items():
        variables = {key: said for key, said in effective(host, groups).items() if _is_plain(key, said, notes)}
        _take_settings(variables, cluster, value)
        login = take_login(variables, notes)
        hosts[label] = _take_host(host, label, variables, notes)
        hosts[label]["roles"] = [role for role in ROLE_GROUPS if host in roles[role]]
        hosts[label]["ssh"] = login
        for key in variables:
            notes.add(f"the variable {key} is not taken over")
    value["ssh"] = _shared_login(hosts.values())
    return Imported({**{key: part for key, part in value.items() if part}, "hosts": hosts}, notes.lines())


def _is_plain(key: str, value: object, notes: Notes) -> bool:
    if isinstance(value, str) and "{{" in value:
        notes.add(f"the variable {key} is a template: not taken over")
        return False
    return True


def _labels(names: Iterable[str], notes: Notes) -> dict[str, str]:
    """A DNS label for each host: its name, shortened to the first part where that tells it from the others."""
    names = list(names)
    short = {name: _label(name if _is_address(name) else name.partition(".")[0]) for name in names}
    uses = Counter(short.values())
    labels = {name: short[name] if uses[short[name]] == 1 else _label(name) for name in names}
    for name, label in labels.items():
        if name != label:
            notes.add(f"{name} is called {label} here: names are DNS labels")
    return labels


def _label(name: str) -> str:
    return _LABEL.sub("-", name.lower()).strip("-")[:63].strip("-") or "host"


def _take_host(name: str, label: str, variables: Variables, notes: Notes) -> Entry:
    """Address, labels and taints of a host; what they are made of is taken out of `variables`."""
    inner, outer = (_first(variables, keys) for keys in (_INNER_ADDRESS, _OUTER_ADDRESS))
    reached = outer or name
    address = next((text for text in (inner, reached) if text and _is_address(text)), None)
    entry: Entry = {}
    if address is None:
        notes.add(f"{label} has no IPv4 address: add `address` to it")
    else:
        entry["address"] = address
    if reached != address:
        entry["ssh_address"] = reached
    if isinstance(variables.get("node_labels"), dict):
        entry["labels"] = _plain(variables.pop("node_labels"))
    if isinstance(variables.get("node_taints"), list):
        entry["taints"] = _plain(variables.pop("node_taints"))
    for key in _WITHOUT_MEANING:
        variables.pop(key, None)
    return entry


def _first(variables: Variables, keys: Iterable[str]) -> str | None:
    """The first of these variables that is set; all are taken out."""
    values = [variables.pop(key, None) for key in keys]
    return next((str(value) for value in values if value), None)


def _is_address(text: str) -> bool:
    try:
        IPv4Address(text)
    except AddressValueError:
        return False
    return True


def _take_settings(variables: Variables, cluster: Entry, value: Entry) -> None:
    """What kubespray says about the whole cluster; taken out of `variables`."""
    version = variables.pop("kube_version", None)
    if version:
        cluster["kubernetes"] = str(version).removeprefix("v")
    vip = variables.pop("kube_vip_address", None)
    if vip:
        cluster["endpoint"] = {"vip": str(vip)}
    balancer = variables.pop("loadbalancer_apiserver", None)
    if isinstance(balancer, dict) and balancer.get("address"):
        cluster["endpoint"] = {key: _plain(balancer[key]) for key in ("address", "port") if balancer.get(key)}
    for name, (section, key) in _SETTINGS.items():
        if variables.get(name):
            part = value.setdefault(section, {})
            if isinstance(part, dict):
                part[key] = _plain(variables.pop(name))


def _plain(value: object) -> object:
    """Text, numbers where it is one, lists and mappings of such."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    text = str(value)
    return int(text) if text.isdecimal() and isinstance(value, Plain) else text


def _shared_login(hosts: Iterable[Entry]) -> Entry:
    """What all hosts say alike about logging in; taken out of them."""
    logins = [login for host in hosts if isinstance(login := host["ssh"], dict)]
    shared = {key: said for key, said in logins[0].items() if all(login.get(key) == said for login in logins)}
    for host, login in zip(hosts, logins, strict=True):
        host["ssh"] = {key: said for key, said in login.items() if key not in shared}
        if not host["ssh"]:
            del host["ssh"]
    return shared
