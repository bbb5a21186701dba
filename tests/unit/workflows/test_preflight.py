"""What preflight finds: each thing that can be wrong, with host and remedy, and nothing on good hosts."""

from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbootstrap.errors import PreflightFailed, Problem
from kbootstrap.events import ignore
from kbootstrap.facts.disks import DiskSpace, Space
from kbootstrap.facts.fact import Fact
from kbootstrap.facts.guard import Guard
from kbootstrap.facts.identity import Interface
from kbootstrap.facts.neighbours import Neighbour
from kbootstrap.facts.ports import PODS, Listener, Listeners
from kbootstrap.facts.services import Service
from kbootstrap.model.settings import Endpoint, HostPreparation, Kubelet, KubeProxy, Settings
from kbootstrap.workflows.fitness.clocks import Clock, consensus
from kbootstrap.workflows.fitness.disks import NEEDS
from kbootstrap.workflows.fitness.network import network_facts
from kbootstrap.workflows.fitness.residents import IN_CONTAINER, RUNNING, STATIC_PODS, UFW_ENABLED, VISITED
from kbootstrap.workflows.footprint import ALL_UNITS
from kbootstrap.workflows.preflight import findings, preflight_facts, require_fit, warnings
from tests.unit.workflows.hosts import GB, ROOM, VIP, cluster, look, looks

CLUSTER = cluster()


def errors_of(name: str, changed: dict[Fact[Any], object] | None = None, **said: Any) -> list[Problem]:
    return findings(CLUSTER, looks(CLUSTER, **{name: look(CLUSTER, name, changed, **said)}))


def warnings_of(name: str, changed: dict[Fact[Any], object] | None = None, **said: Any) -> list[Problem]:
    return warnings(CLUSTER, looks(CLUSTER, **{name: look(CLUSTER, name, changed, **said)}))


def test_good_hosts_are_fit() -> None:
    assert findings(CLUSTER, looks(CLUSTER)) == []
    assert warnings(CLUSTER, looks(CLUSTER)) == []
    require_fit(CLUSTER, looks(CLUSTER), ignore)


def test_all_findings_of_all_hosts_come_at_once() -> None:
    bad = looks(CLUSTER, cp2=look(CLUSTER, "cp2", arch="riscv64"), w1=look(CLUSTER, "w1", has_systemd=False))
    with pytest.raises(PreflightFailed) as caught:
        require_fit(CLUSTER, bad, ignore)
    assert [problem.message.partition(":")[0] for problem in caught.value.problems] == ["cp2", "w1"]
    assert all(problem.hint for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"arch": "aarch64"}, "architecture is aarch64"),
        ({"os": "fedora", "os_version": "42", "missing_tools": ("apt-get",)}, "runs fedora 42, which has no apt"),
        ({"has_systemd": False}, "systemd"),
        ({"missing_tools": ("curl", "modprobe")}, "lacks curl, modprobe"),
        ({"kernel": "4.19.0-27-amd64"}, "older than 5.13"),
        ({"kernel": "5.10.0-30-amd64"}, "kube-proxy's nftables mode"),
        ({"cgroup_version": 1}, "runs cgroup v1"),
        ({"memory_bytes": 500 * 10**6}, "has 500 MB of memory"),
        ({"swap_bytes": 2 * GB}, "swaps (2000 MB)"),
    ],
)
def test_machines_that_are_not_fit(said: dict[str, Any], words: str) -> None:
    [problem] = errors_of("w1", **said)
    assert problem.message.startswith("w1: ")
    assert words in problem.message
    assert problem.hint


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"os": "debian", "os_version": "11"}, "runs debian 11, which is not tested"),
        ({"os": "linuxmint", "os_version": "22"}, "not tested"),
        ({"os": "ubuntu", "os_version": "20.04"}, "not tested"),
        ({"memory_bytes": 10**9}, "1000 MB of memory"),
        ({"cpus": 1}, "has 1 CPU"),
    ],
)
def test_machines_that_are_worth_a_word(said: dict[str, Any], words: str) -> None:
    assert errors_of("cp1", **said) == []
    assert words in " ".join(problem.message for problem in warnings_of("cp1", **said))


@pytest.mark.parametrize(("os", "version"), [("debian", "13"), ("ubuntu", "24.04"), ("ubuntu", "22.04")])
def test_tested_systems(os: str, version: str) -> None:
    assert warnings_of("cp1", os=os, os_version=version) == []


def test_the_remedy_of_a_missing_tool_names_its_package() -> None:
    [problem] = errors_of("w1", missing_tools=("modprobe", "curl"))
    assert problem.hint == "on the host: apt-get install curl kmod"


def test_settings_that_make_a_machine_fit() -> None:
    lenient = Settings(
        kubelet=Kubelet(config={"failCgroupV1": False}),
        kube_proxy=KubeProxy(mode="iptables"),
        host=HostPreparation(swap="disable"),
    )
    site = cluster(lenient)
    old = look(site, "w1", cgroup_version=1, kernel="5.4.0", swap_bytes=GB)
    assert findings(site, looks(site, w1=old)) == []


def test_a_kernel_without_a_module() -> None:
    site = cluster(Settings(kube_proxy=KubeProxy(mode="ipvs")))
    [guard] = [
        fact
        for fact in preflight_facts(site, site.host("w1"))
        if isinstance(fact, Guard) and fact.command.endswith(" ip_vs")
    ]
    [problem] = findings(site, looks(site, w1=look(site, "w1", {guard: False})))
    assert "no ip_vs" in problem.message


def test_a_full_disk_names_mount_free_and_needed() -> None:
    full = Space("/var", 10 * GB, 80 * 10**6, 100_000, read_only=False, occupied=False)
    paths = ("/var/lib/containerd", "/var/lib/kubelet", "/var/lib/etcd", "/var/log", "/var/lib/kbootstrap")
    [problem] = errors_of("cp2", {DiskSpace(PurePosixPath(path)): full for path in paths})
    assert problem.message.startswith("cp2: /var has 80 MB free; 1705 MB are needed")
    assert "/var/lib/etcd 500 MB" in problem.message


def test_a_disk_that_fills_up_under_an_installed_part_still_has_room() -> None:
    used = Space("/var/lib/etcd", 10 * GB, 100 * 10**6, 100_000, read_only=False, occupied=True)
    assert errors_of("cp2", {DiskSpace(PurePosixPath("/var/lib/etcd")): used}) == []


def test_a_disk_without_any_room_is_refused_also_when_installed() -> None:
    used = Space("/var/lib/etcd", 10 * GB, 0, 100_000, read_only=False, occupied=True)
    [problem] = errors_of("cp2", {DiskSpace(PurePosixPath("/var/lib/etcd")): used})
    assert "/var/lib/etcd has 0 MB free" in problem.message


def test_read_only_and_out_of_inodes() -> None:
    path = DiskSpace(PurePosixPath("/opt/kbootstrap"))
    [problem] = errors_of("w1", {path: replace(ROOM, mount="/opt", read_only=True)})
    assert "/opt is mounted read-only" in problem.message
    [problem] = errors_of("w1", {path: replace(ROOM, mount="/opt", free_inodes=3)})
    assert "/opt can take 3 more files" in problem.message


def test_an_unreadable_disk_is_no_finding() -> None:
    assert errors_of("w1", {DiskSpace(NEEDS[0].path): Space("", 0, 0, None, False, False)}) == []


def test_a_wrong_address_names_the_right_ones() -> None:
    [problem] = errors_of("w1", interfaces=(Interface("eth0", 1500, (IPv4Interface("10.1.2.3/24"),)),))
    assert "no interface with its address 198.18.0.21; it has 10.1.2.3 (eth0)" in problem.message


def test_a_vip_outside_the_subnet() -> None:
    small = Interface("eth0", 1500, (IPv4Interface("198.18.0.11/28"),))
    [problem] = errors_of("cp1", interfaces=(small,))
    assert "the VIP 198.18.0.100 is outside the subnet of eth0 (198.18.0.0/28)" in problem.message


def neighbour(name: str) -> Neighbour:
    [fact] = network_facts(CLUSTER, CLUSTER.host(name))
    assert isinstance(fact, Neighbour)
    return fact


def test_a_vip_that_somebody_else_has() -> None:
    [problem] = errors_of("cp1", {neighbour("cp1"): "06:9b:10:59:5c:49"})
    assert "another machine (06:9b:10:59:5c:49) answers for the VIP 198.18.0.100" in problem.message


def test_a_vip_that_we_hold_is_ours() -> None:
    holder = look(
        CLUSTER,
        "cp2",
        interfaces=(Interface("eth0", 1500, (IPv4Interface("198.18.0.12/24"), IPv4Interface(f"{VIP}/32"))),),
    )
    asks = look(CLUSTER, "cp1", {neighbour("cp1"): "06:9b:10:59:5c:49"})
    assert findings(CLUSTER, looks(CLUSTER, cp1=asks, cp2=holder)) == []


def test_a_vip_that_one_of_us_takes_meanwhile_is_ours() -> None:
    mac = "06:9b:10:59:5c:49"
    taker = look(CLUSTER, "cp2", interfaces=(Interface("eth0", 1500, (IPv4Interface("198.18.0.12/24"),), mac),))
    asks = look(CLUSTER, "cp1", {neighbour("cp1"): mac})
    assert findings(CLUSTER, looks(CLUSTER, cp1=asks, cp2=taker)) == []


def test_a_vip_is_not_judged_when_its_holder_may_be_unread() -> None:
    some = looks(CLUSTER, cp1=look(CLUSTER, "cp1", {neighbour("cp1"): "06:9b:10:59:5c:49"}))
    del some["cp3"]
    assert findings(CLUSTER, some) == []


def test_a_cluster_without_a_vip_asks_for_none() -> None:
    site = cluster(Settings(endpoint=Endpoint()))
    assert findings(site, looks(site)) == []


def test_cloned_machines() -> None:
    same: dict[str, Any] = {"machine_id": "a" * 32, "hostname": "debian"}
    bad = looks(CLUSTER, cp1=look(CLUSTER, "cp1", **same), w1=look(CLUSTER, "w1", **same))
    assert [problem.message for problem in findings(CLUSTER, bad)] == [
        f"cp1: has the same machine-id ({'a' * 32}) as w1",
        f"w1: has the same machine-id ({'a' * 32}) as cp1",
    ]
    assert len(warnings(CLUSTER, bad)) == 2


def foreign(port: int, process: str = "haproxy", unit: str = "haproxy.service", protocol: str = "tcp") -> Listener:
    return Listener(protocol, "0.0.0.0", port, process, 4711, unit)


def test_a_port_that_is_taken_names_its_process() -> None:
    [problem] = errors_of("cp1", {Listeners(): (foreign(6443),)})
    assert problem.message == (
        "cp1: tcp port 6443, needed for the API, is taken by haproxy (pid 4711, haproxy.service)"
    )
    assert problem.hint is not None
    assert "systemctl disable --now haproxy.service" in problem.hint


def test_nobody_is_told_to_stop_the_ssh_server() -> None:
    [problem] = errors_of("cp1", {Listeners(): (foreign(6443, "python3", "ssh.service"),)})
    assert problem.hint == "on the host: stop it (kill 4711), or let it use another port"


@pytest.mark.parametrize(
    "listener",
    [
        foreign(6443, "kube-apiserver", "kube-apiserver.service"),
        foreign(6443, "nginx", "kube-endpoint-nginx.service"),
        foreign(6443, "traefik", PODS),
        foreign(8080),
        foreign(6443, protocol="udp"),
        Listener("udp", "0.0.0.0", 8472, "", 0, ""),
    ],
)
def test_listeners_that_are_no_obstacle(listener: Listener) -> None:
    assert errors_of("cp1", {Listeners(): (listener,)}) == []


def test_ports_are_wanted_by_role() -> None:
    assert errors_of("w1", {Listeners(): (foreign(6443), foreign(2379))}) == []
    assert len(errors_of("w1", {Listeners(): (foreign(10250), foreign(8472, protocol="udp"))})) == 2


def test_a_listener_on_two_families_is_one_finding() -> None:
    assert len(errors_of("cp1", {Listeners(): (foreign(6443), replace(foreign(6443), address="::"))})) == 1


def running(*services: Service) -> dict[Fact[Any], object]:
    return {RUNNING: (*services, Service("chrony.service", ours=False))}


@pytest.mark.parametrize("unit", ["kubelet.service", "containerd.service", "etcd.service", "k3s.service"])
def test_another_installation_is_in_the_way(unit: str) -> None:
    [problem] = errors_of("cp1", running(Service(unit, ours=False)))
    assert f"runs {unit} already" in problem.message


def test_our_own_services_never_are() -> None:
    everything = running(*(Service(unit, ours=True) for unit in ALL_UNITS))
    assert errors_of("cp1", everything) == []
    assert warnings_of("cp1", everything) == []


def test_nginx_of_the_user_would_be_stopped_so_it_is_refused() -> None:
    theirs = running(Service("nginx.service", ours=False))
    assert len(errors_of("cp1", theirs)) == 1
    assert errors_of("w1", theirs) == []
    assert errors_of("cp1", theirs | {VISITED: True}) == []


def test_kubeadm_is_recognized() -> None:
    [problem] = errors_of("cp1", {STATIC_PODS: True})
    assert "static pods" in problem.message


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (running(Service("docker.service", ours=False)), "Docker"),
        (running(Service("firewalld.service", ours=False)), "firewalld"),
        ({UFW_ENABLED: True}, "ufw"),
        ({RUNNING: ()}, "no time service"),
    ],
)
def test_neighbours_worth_a_word(changed: dict[Fact[Any], object], words: str) -> None:
    assert errors_of("w1", changed) == []
    assert words in " ".join(problem.message for problem in warnings_of("w1", changed))


def test_a_container_needs_no_time_service() -> None:
    assert warnings_of("w1", {RUNNING: (), IN_CONTAINER: True}) == []


def test_a_clock_that_is_off_is_named_with_by_how_much() -> None:
    [problem] = findings(CLUSTER, looks(CLUSTER, cp2=look(CLUSTER, "cp2", offset=600.0)))
    assert problem.message == "cp2: its clock is 10 min ahead of the other hosts'; 1 s are allowed"
    assert problem.hint is not None
    assert "chrony" in problem.hint


def test_clocks_that_agree_with_each_other_and_not_with_this_machine() -> None:
    ahead = {host.name: look(CLUSTER, host.name, offset=3600.0) for host in CLUSTER.hosts}
    assert findings(CLUSTER, ahead) == []
    assert "1.0 h" in warnings(CLUSTER, ahead)[0].message or "60 min" in warnings(CLUSTER, ahead)[0].message
    behind = {host.name: look(CLUSTER, host.name, offset=-3600.0) for host in CLUSTER.hosts}
    assert "certificates issued here would not be valid there yet" in findings(CLUSTER, behind)[0].message


def test_a_clock_that_was_read_slowly_gets_the_benefit_of_the_doubt() -> None:
    for offset, expected in ((3.0, 0), (600.0, 1)):
        slow = replace(look(CLUSTER, "cp2", offset=offset), clock_error=2.5)
        assert len(findings(CLUSTER, looks(CLUSTER, cp2=slow))) == expected


@given(
    good=st.lists(st.floats(-0.5, 0.5), min_size=3, max_size=9),
    bad=st.lists(st.one_of(st.floats(-9999, -3), st.floats(3, 9999)), max_size=2),
)
def test_the_majority_is_right(good: list[float], bad: list[float]) -> None:
    found = consensus([Clock(offset) for offset in (*good, *bad)], allowed=1.0)
    assert -0.5 <= found.offset <= 0.5


def test_of_two_clocks_the_one_like_ours_is_right() -> None:
    ours, other = Clock(0.1), Clock(600.0)
    assert consensus([ours, other], allowed=1.0) == consensus([other, ours], allowed=1.0) == ours
