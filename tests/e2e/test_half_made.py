"""Hosts that are not fit or not reachable: an error names the host and the remedy, and nothing is changed anywhere."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

import pytest

from kbootstrap.lab.spec import HostSpec, LabSpec
from kbootstrap.model.cluster import Role
from tests.e2e.bed import Bed, Outcome
from tests.e2e.conftest import PREFIX, BedFactory
from tests.e2e.observe import contents

SUBNET = IPv4Network("198.18.41.0/24")
UNREACHABLE, UNFIT = 4, 5
PASSWORDS = {"W1_SUDO": "deploy", "WRONG": "not it"}
"""The lab's user `deploy` has sudo with the first of these."""


@pytest.fixture(scope="module")
def bed(beds: BedFactory) -> Bed:
    """A control plane, and a worker whose sudo wants a password."""
    hosts = {
        "cp1": HostSpec(address=SUBNET[11], roles=(Role.CONTROL_PLANE,)),
        "w1": HostSpec(address=SUBNET[21], roles=(Role.WORKER,), login="deploy"),
        "w2": HostSpec(address=SUBNET[22], roles=(Role.WORKER,)),
    }
    spec = LabSpec(name=f"{PREFIX}half", subnet=SUBNET, hosts=hosts)
    login = {"hosts": {"w1": {"ssh": {"sudo_password": {"env": "W1_SUDO"}}}}}
    return beds(spec, {**login, "timeouts": {"connect_seconds": 3}}, **PASSWORDS)


@contextmanager
def unchanged(bed: Bed, *hosts: str) -> Iterator[None]:
    """Nothing is changed on these hosts meanwhile."""
    wanted = list(hosts)
    before = contents(bed, wanted)
    yield
    assert contents(bed, wanted) == before


def refused(bed: Bed, code: int, *said: str) -> Outcome:
    """`up` ends so, without a traceback, and `preflight` sees the same."""
    outcome = bed.run("up").expect(code, *said)
    assert "Traceback" not in outcome.text
    assert "next:" in outcome.text
    bed.run("preflight").expect(UNFIT, *said[:1])
    return outcome


def test_a_host_that_is_off(bed: Bed) -> None:
    bed.lab.power_off("w2")
    try:
        with unchanged(bed, "cp1"):
            refused(bed, UNREACHABLE, "w2", str(SUBNET[22]))
    finally:
        bed.lab.power_on("w2")
        bed.lab.wait_ssh()


def test_all_hosts_that_cannot_be_reached_are_named(bed: Bed) -> None:
    for host in ("cp1", "w2"):
        bed.lab.power_off(host)
    try:
        refused(bed, UNREACHABLE, "cp1", "w2", "2 hosts cannot be reached")
    finally:
        for host in ("cp1", "w2"):
            bed.lab.power_on(host)
        bed.lab.wait_ssh()


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        pytest.param(
            {"sudo": "nopasswd", "sudo_password": None},
            ["w1", "sudo wants a password", "sudo: password"],
            id="not told of",
        ),
        pytest.param({"sudo_password": {"env": "WRONG"}}, ["w1", "does not accept the password"], id="wrong"),
    ],
)
def test_sudo_that_wants_a_password(bed: Bed, entry: dict[str, Any], said: list[str]) -> None:
    bed.write({"hosts": {"w1": {"ssh": entry}}})
    try:
        with unchanged(bed, "cp1", "w2"):
            outcome = refused(bed, UNREACHABLE, *said)
        assert "not it" not in outcome.text
    finally:
        bed.write({})


def test_a_host_key_that_has_changed(bed: Bed) -> None:
    key, saved = "/etc/ssh/ssh_host_ed25519_key", "/root/host_key"
    bed.ssh("w2", f"cp -p {key} {saved}; rm {key}; ssh-keygen -q -t ed25519 -N '' -f {key} && systemctl restart ssh")
    try:
        with unchanged(bed, "cp1"):
            refused(bed, UNREACHABLE, "w2", "host key", "known_hosts")
    finally:
        bed.ssh("cp1", "true")
        _restore_host_key(bed, key, saved)


def _restore_host_key(bed: Bed, key: str, saved: str) -> None:
    """Through the worker's disk, as its new key is nobody's."""
    upper = bed.lab.folder / "hosts/w2/upper"
    (upper / key[1:]).write_bytes((upper / saved[1:]).read_bytes())
    bed.lab.power_off("w2")
    bed.lab.power_on("w2")
    bed.lab.wait_ssh()


def test_another_machine_has_the_vip(bed: Bed) -> None:
    """A worker has taken the address meanwhile; this machine does not ask for it before `up` does."""
    bed.ssh("w2", f"ip address add {bed.spec.vip}/32 dev eth0")
    try:
        with unchanged(bed, "cp1"):
            bed.write({"hosts": {"w2": None}})
            refused(bed, UNFIT, f"answers for the VIP {bed.spec.vip}")
    finally:
        bed.ssh("w2", f"ip address del {bed.spec.vip}/32 dev eth0")
        bed.write({})


@dataclass(frozen=True, slots=True)
class Unfit:
    """What makes a host unfit; what is said of it, and the remedy."""

    host: str
    spoil: str
    mend: str
    message: str
    hint: str


def taken(host: str, port: int, needed: str) -> Unfit:
    """A port that another sshd has, as there is no other server on a bare host."""
    unit = f"squatter-{port}"
    return Unfit(
        host,
        f"systemd-run --quiet --unit={unit} /usr/sbin/sshd -D -p {port}",
        f"systemctl stop {unit}",
        f"tcp port {port}, needed for {needed}",
        f"{unit}.service",
    )


FAKE_DATE = '#!/bin/sh\\n[ $# != 1 ] || exec /root/date --date=+10min "$1"\\nexec /root/date "$@"\\n'
"""Ten minutes ahead: the hosts share this machine's clock."""

UNFIT_HOSTS = (
    # A file system of 20 MB where etcd's data will be.
    Unfit(
        "cp1",
        "mount -t tmpfs -o size=20m small /var/lib/etcd",
        "umount /var/lib/etcd",
        "/var/lib/etcd has",
        "make room",
    ),
    Unfit(
        "w2",
        "mount -t tmpfs -o ro small /var/lib/containerd",
        "umount /var/lib/containerd",
        "/var/lib/containerd is mounted read-only",
        "remount",
    ),
    taken("cp1", 6443, "the API"),
    taken("cp1", 2379, "etcd"),
    taken("cp1", 10250, "kubelet"),
    taken("w2", 10250, "kubelet"),
    Unfit(
        "w2",
        f"cp /usr/bin/date /root/date; printf '{FAKE_DATE}' >/root/fake; chmod +x /root/fake;"
        " mount --bind /root/fake /usr/bin/date",
        "umount /usr/bin/date",
        "its clock is 10 min ahead",
        "chrony",
    ),
    Unfit(
        "cp1",
        "mkdir -p /etc/kubernetes/manifests; touch /etc/kubernetes/manifests/etcd.yaml",
        "rm -r /etc/kubernetes",
        "has static pods",
        "kubeadm reset",
    ),
)


def test_everything_that_makes_hosts_unfit_is_named_at_once(bed: Bed) -> None:
    """Each of it stops a run, with its remedy: findings are judged one by one."""
    for unfit in UNFIT_HOSTS:
        bed.ssh(unfit.host, unfit.spoil)
    try:
        with unchanged(bed, "cp1", "w2"):
            refused(bed, UNFIT, *(f"{unfit.host}: {unfit.message}" for unfit in UNFIT_HOSTS))
        hosts = json.loads(bed.run("preflight", "--json").expect(UNFIT).out)["hosts"]
        stops = [finding for host in hosts for finding in host["findings"] if finding["stops"]]
        for unfit in UNFIT_HOSTS:
            [said] = [
                f"{finding['message']} {finding['hint']}"
                for finding in stops
                if finding["host"] == unfit.host and unfit.message in finding["message"]
            ]
            assert unfit.hint in said
        assert len(stops) == len(UNFIT_HOSTS)
    finally:
        for unfit in UNFIT_HOSTS:
            bed.ssh(unfit.host, unfit.mend)
    fit = json.loads(bed.run("preflight", "--json").expect(0).out)
    assert fit["errors"] == 0
