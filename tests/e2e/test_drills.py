"""Drills on real hosts: each passes, each can fail and says why, and none leaves anything behind."""

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.bed import Bed
from tests.e2e.conftest import BedFactory, wait_until
from tests.e2e.drilling import (
    HEALED_SECONDS,
    INTERRUPTED,
    MARK,
    RATE,
    REFUSED,
    Drilled,
    drilled,
    drilled_cluster,
    leads,
    require_passed,
)
from tests.e2e.observe import vip_holders


def test_a_drill_passes_and_a_degraded_cluster_is_refused(shared: Bed) -> None:
    """The only one that is not left to `make test-drills`."""
    _, [result] = drilled(shared, "apiserver-kill")
    assert not [problem for problem in result["problems"] if "lost" in problem or "read back" in problem]
    assert [moment["kind"] for moment in result["moments"]][:3] == ["steady", "armed", "fault"]
    sent = {probe["name"]: probe["requests"] for probe in result["probes"]}
    assert all(sent[name] > 0 for name in ("etcd-write", "api-new.w1", "write-kept.w1", "application.w1"))
    shared.ssh("cp3", "systemctl stop etcd")
    try:
        outcome, [refused] = drilled(shared, "apiserver-kill")
        assert (outcome.code, refused["verdict"], refused["problems"][0]) == (
            REFUSED,
            "refused",
            "the cluster is degraded",
        )
        assert any("etcd" in problem for problem in refused["problems"])
        assert [moment for moment in refused["moments"] if moment["kind"] == "fault"] == []
    finally:
        shared.ssh("cp3", "systemctl start etcd")
        wait_until(lambda: shared.run("status").code == 0, seconds=90, what="the cluster is healthy")


@pytest.fixture(scope="module")
def ground(beds: BedFactory, tmp_path_factory: pytest.TempPathFactory) -> Drilled:
    return drilled_cluster(beds, tmp_path_factory.mktemp("drills"))


@pytest.fixture
def bed(ground: Drilled) -> Bed:
    return ground.bed


@pytest.mark.long
@pytest.mark.parametrize(
    "name",
    [
        "apiserver-stop",
        "apiserver-kill",
        "vip-handover",
        "keepalived-stop",
        "nginx-stop",
        "etcd-leader-kill",
        "controller-manager-kill",
        "scheduler-kill",
        "network-loss",
        "partition",
        "partition-inbound",
        "partition-outbound",
        "vip-holder-power-off",
        "worker-power-off",
        "etcd-member-wipe",
        "cold-restart",
    ],
)
def test_it_passes(bed: Bed, name: str) -> None:
    require_passed(bed, name)


@pytest.mark.long
def test_a_quorum_is_lost_and_restored(ground: Drilled) -> None:
    require_passed(ground.bed, "quorum-loss-restore", options=("--identity", str(ground.identity)))


@pytest.mark.long
def test_what_the_kernel_cannot_do_is_refused_with_the_evidence(bed: Bed) -> None:
    outcome, [result] = drilled(bed, "network-delay")
    if result["verdict"] == "passed":
        pytest.skip("this kernel can")
    assert (outcome.code, result["verdict"]) == (REFUSED, "refused")
    assert "cannot delay packets" in result["problems"][0]


@pytest.mark.long
def test_a_disk_that_others_share_is_not_filled(bed: Bed) -> None:
    _, [result] = drilled(bed, "disk-full")
    assert result["verdict"] == "refused"
    assert "a part of a disk that other hosts share" in result["problems"][0]


@pytest.mark.long
def test_a_full_disk(bed: Bed, tmp_path: Path) -> None:
    with own_disk(bed, "cp3", tmp_path):
        [leader] = [host for host in bed.control_planes if leads(bed, host)]
        if leader == "cp3":
            bed.ssh("cp3", "systemctl kill --signal=KILL etcd")
            wait_until(lambda: bed.run("status").code == 0, seconds=90, what="the cluster is healthy")
        require_passed(bed, "disk-full")


@pytest.mark.long
def test_production_needs_its_name(bed: Bed) -> None:
    bed.write({"drills": {"production": True}})
    try:
        bed.run("drill", "run", "keepalived-stop").expect(REFUSED, "users depend on")
        wrong = bed.run("drill", "run", "keepalived-stop", "--yes-break-production", "other")
        wrong.expect(REFUSED, "this cluster is called")
    finally:
        bed.write({})


@pytest.mark.long
def test_killed_in_the_middle_the_host_heals_itself_and_status_says_so(bed: Bed) -> None:
    with struck(bed, "keepalived-stop") as process:
        process.kill()
    [hurt] = [host for host, said in bed.on_all(MARK).items() if said]
    assert bed.ssh(hurt, "systemctl is-active kube-endpoint-keepalived || true") in ("inactive", "deactivating")
    bed.run("status").expect(1, "keepalived-stop")
    took = wait_until(
        lambda: bed.ssh(hurt, "systemctl is-active kube-endpoint-keepalived || true") == "active",
        seconds=HEALED_SECONDS,
        what=f"{hurt} heals itself",
    )
    bed.note(f"healed by itself after {took:.0f} s")
    bed.run("status").expect(1, "cut short")
    _, [result] = drilled(bed, "keepalived-stop")
    assert result["verdict"] == "passed"
    assert "was cut short; the host healed itself at" in result["remarks"][0]


@pytest.mark.long
def test_killed_while_a_host_has_no_power_it_gets_it_back(bed: Bed) -> None:
    with struck(bed, "vip-holder-power-off") as process:
        wait_until(lambda: bool(off(bed)), seconds=30, what="a host is off")
        process.kill()
    wait_until(lambda: not off(bed), seconds=60, what="it is on again")
    bed.lab.wait_ssh()
    wait_until(lambda: bed.ready_nodes() == sorted(bed.nodes), seconds=120, what="all nodes are Ready")


@pytest.mark.long
def test_interrupted_it_heals_before_it_ends(bed: Bed) -> None:
    with struck(bed, "nginx-stop") as process:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=300)
    assert process.returncode == INTERRUPTED, err
    [result] = json.loads(out.strip().splitlines()[-1])["results"]
    assert result["verdict"] == "cut short"
    assert all(said == "" for said in bed.on_all(MARK).values())
    assert len(vip_holders(bed)) == 1


@contextmanager
def struck(bed: Bed, name: str) -> Iterator[Any]:
    """A drill that has made its fault."""
    with bed.start("drill", "run", name, "--probe-rate", RATE, "--json") as process:
        assert process.stdout
        for line in process.stdout:
            if " fault: " in line:
                break
        time.sleep(1)
        yield process


@contextmanager
def own_disk(bed: Bed, host: str, folder: Path) -> Iterator[None]:
    """A file system of its own for a host's etcd: what is full then is nobody else's."""
    data, image, other = bed.lab.folder / "hosts" / host / "etcd", folder / "etcd.img", folder / "mounted"
    other.mkdir()
    on_machine("truncate", "--size=700M", image)
    on_machine("mkfs.ext4", "-q", "-F", image)
    moved(bed, host, image, data, other)
    on_machine("mount", "-o", "loop", image, data)
    powered_on(bed, host)
    try:
        yield
    finally:
        bed.lab.power_off(host)
        on_machine("umount", data)
        for old in data.iterdir():
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        on_machine("mount", "-o", "loop", image, other)
        on_machine("cp", "-a", f"{other}/.", data)
        on_machine("umount", other)
        powered_on(bed, host)


def moved(bed: Bed, host: str, image: Path, data: Path, other: Path) -> None:
    bed.lab.power_off(host)
    on_machine("mount", "-o", "loop", image, other)
    (other / "lost+found").rmdir()
    on_machine("cp", "-a", f"{data}/.", other)
    on_machine("umount", other)


def powered_on(bed: Bed, host: str) -> None:
    bed.lab.power_on(host)
    bed.lab.wait_ssh([host])
    wait_until(lambda: bed.run("status").code == 0, seconds=120, what="the cluster is healthy")


def on_machine(*words: object) -> None:
    subprocess.run([str(word) for word in words], check=True)


def off(bed: Bed) -> list[str]:
    return [host.name for host in bed.lab.status() if not host.on]
