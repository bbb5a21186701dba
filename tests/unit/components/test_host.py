import dataclasses

from kbootstrap.components.host import host, modules
from kbootstrap.components.packages import wanted_packages
from kbootstrap.model.cluster import Cluster, Role
from kbootstrap.model.settings import Settings
from kbootstrap.steps.block import Block
from kbootstrap.steps.command import Command
from kbootstrap.steps.sysctl import Sysctls
from tests.golden.sites import TOPOLOGIES, cluster, hosts, site

VIP = TOPOLOGIES["vip"]
LOCAL_IPVS = TOPOLOGIES["local"]
EXTERNAL_ETCD = TOPOLOGIES["external-etcd"]


def sysctls(of: Cluster, name: str) -> dict[str, str]:
    return next(dict(step.values) for step in host(site(of, name)) if isinstance(step, Sysctls))


def titles(of: Cluster, name: str) -> list[str]:
    return [step.title for step in host(site(of, name)) if isinstance(step, Command)]


def with_settings(of: Cluster, settings: dict[str, object]) -> Cluster:
    return dataclasses.replace(of, settings=Settings.model_validate(settings))


def test_only_hosts_that_may_hold_the_vip_bind_foreign_addresses() -> None:
    assert sysctls(VIP, "cp1")["net.ipv4.ip_nonlocal_bind"] == "1"
    assert "net.ipv4.ip_nonlocal_bind" not in sysctls(VIP, "w1")
    assert "net.ipv4.ip_nonlocal_bind" not in sysctls(LOCAL_IPVS, "cp1")


def test_hosts_for_etcd_alone_are_not_made_routers() -> None:
    assert set(sysctls(EXTERNAL_ETCD, "etcd1")) == {"net.ipv4.tcp_thin_linear_timeouts"}
    assert "net.ipv4.tcp_thin_linear_timeouts" not in sysctls(EXTERNAL_ETCD, "cp1")
    assert modules(EXTERNAL_ETCD, EXTERNAL_ETCD.host("etcd1")) == ()
    assert wanted_packages(EXTERNAL_ETCD, EXTERNAL_ETCD.host("etcd1")) == ()


def test_the_inventory_has_the_last_word() -> None:
    changed = with_settings(VIP, {"host": {"sysctls": {"kernel.panic": "60", "vm.swappiness": "1"}}})
    assert sysctls(changed, "w1")["kernel.panic"] == "60"
    assert sysctls(changed, "w1")["vm.swappiness"] == "1"


def test_ipvs_needs_modules_and_tools() -> None:
    assert "ip_vs" in modules(LOCAL_IPVS, LOCAL_IPVS.host("w1"))
    assert {"ipset", "ipvsadm"} <= set(wanted_packages(LOCAL_IPVS, LOCAL_IPVS.host("w1")))
    assert "ip_vs" not in modules(VIP, VIP.host("w1"))


def test_proxies_are_where_the_endpoint_mode_wants_them() -> None:
    def has(of: Cluster, name: str, package: str) -> bool:
        return package in wanted_packages(of, of.host(name))

    assert has(VIP, "cp1", "nginx")
    assert has(VIP, "cp1", "keepalived")
    assert not has(VIP, "w1", "nginx")
    assert has(LOCAL_IPVS, "w1", "nginx")
    assert not has(LOCAL_IPVS, "cp1", "keepalived")
    assert not has(TOPOLOGIES["external-endpoint"], "cp1", "nginx")


def test_the_hosts_file_can_be_left_to_somebody_else() -> None:
    ours = [step for step in host(site(VIP, "w1")) if isinstance(step, Block)]
    assert ours[0].content.splitlines()[0] == "198.18.0.11 cp1"
    theirs = with_settings(VIP, {"host": {"manage_hosts_file": False}})
    assert not [step for step in host(site(theirs, "w1")) if isinstance(step, Block)]


def test_swap_is_turned_off_only_where_that_is_wanted() -> None:
    assert "turn swap off" in titles(LOCAL_IPVS, "w1")
    assert "turn swap off" not in titles(VIP, "w1")
    allowed = with_settings(VIP, {"host": {"swap": "allow"}})
    assert "turn swap off" not in titles(allowed, "w1")


def test_package_names_are_sorted_and_unique() -> None:
    everything = cluster(hosts("a", 1, 1, frozenset(Role)), {"endpoint": {"mode": "vip", "vip": "198.18.0.9"}})
    names = wanted_packages(everything, everything.hosts[0])
    assert list(names) == sorted(set(names))
