"""Ordinary users with sudo, another port, a jump host: `up` works, and no password shows anywhere."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network

import pytest

from kbootstrap.lab.spec import HostSpec, LabSpec
from kbootstrap.model.cluster import Role
from tests.e2e.bed import Bed
from tests.e2e.conftest import PREFIX, BedFactory
from tests.e2e.observe import showing

SUBNET = IPv4Network("198.18.42.0/24")
PASSWORD = "Unmistakable-" + "0x7f3a"
HOSTS = {
    "cp1": HostSpec(address=SUBNET[11], roles=(Role.CONTROL_PLANE,), login="admin", ssh_port=2222),
    "w1": HostSpec(address=SUBNET[21], roles=(Role.WORKER,), login="deploy"),
    "w2": HostSpec(address=SUBNET[22], roles=(Role.WORKER,), login="admin", jump="cp1"),
}

LOGS = "journalctl --no-pager --output=cat; cat /var/log/*.log /var/log/kbootstrap/* 2>/dev/null; true"


@pytest.fixture(scope="module")
def bed(beds: BedFactory) -> Bed:
    spec = LabSpec(name=f"{PREFIX}access", subnet=SUBNET, hosts=HOSTS)
    bed = beds(spec, {"hosts": {"w1": {"ssh": {"sudo_password": {"env": "W1_SUDO"}}}}}, W1_SUDO=PASSWORD)
    bed.ssh("w1", "sudo --stdin --prompt= chpasswd", said=f"deploy\ndeploy:{PASSWORD}\n")
    return bed


def test_a_password_in_a_process_list_would_be_seen(bed: Bed) -> None:
    with watching(bed.spec.name, PASSWORD) as seen:
        bed.ssh("w1", f"sleep 1; : {PASSWORD}")
    assert seen


def test_up_by_way_of_sudo_another_port_and_a_jump_host(bed: Bed) -> None:
    with watching(bed.spec.name, PASSWORD) as seen:
        outcome = bed.run("up", "--verbose").expect(0, "is ready")
    assert not seen
    bed.require_converged()
    assert PASSWORD not in outcome.text
    assert PASSWORD not in "".join(path.read_text() for path in bed.folder.glob("state/**/*.jsonl"))
    assert PASSWORD not in bed.ssh("w1", f"sudo --stdin --prompt= bash -c '{LOGS}'", said=f"{PASSWORD}\n")


@contextmanager
def watching(lab: str, secret: str) -> Iterator[set[str]]:
    """The processes that show a secret meanwhile: a lab's hosts have theirs in this machine's /proc."""
    seen: set[str] = set()
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            seen.update(showing(secret, lab))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
