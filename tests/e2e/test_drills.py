"""Drills on real hosts: each passes, each can fail and says why, and none leaves anything behind."""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from kbootstrap.errors import CheckFailed
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
        "control-plane-partition",
        "vip-holder-power-off",
        "control-plane-power-off",
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
def test_a_full_disk(bed: Bed) -> None:
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
    bed.run("status").expect(CheckFailed.exit_code, "keepalived-stop")
    took = wait_until(
        lambda: bed.ssh(hurt, "systemctl is-active kube-endpoint-keepalived || true") == "active",
        seconds=HEALED_SECONDS,
        what=f"{hurt} heals itself",
    )
    bed.note(f"healed by itself after {took:.0f} s")
    bed.run("status").expect(CheckFailed.exit_code, "cut short")
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
    bed.run("status").expect(CheckFailed.exit_code, "drill run vip-holder-power-off", "cut short")


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


def off(bed: Bed) -> list[str]:
    return [host.name for host in bed.lab.status() if not host.on]
