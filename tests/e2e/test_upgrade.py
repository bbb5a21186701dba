"""To another version and back: nobody notices, whatever comes between."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from kbootstrap.artifacts.catalogue import load_catalogue
from kbootstrap.components.endpoint import LIST, PROGRAM, UNIT
from kbootstrap.components.nginx import CONFIG
from tests.e2e.bed import Bed, Outcome
from tests.e2e.conftest import Shared, wait_until
from tests.e2e.observe import running_units, vip_holders
from tests.e2e.probe import Probe, probing

NEWER = "1.37.1"
"""One minor above the version of the lab's inventory; `make e2e` has it in the cache."""

PROBES = ("--probe-rate", "15")
"""75 requests a second in all: hosts that share two cores have work enough with the upgrade itself."""

PROBED = ("api-new", "api-kept", "write-new", "write-kept", "application")

BUDGET = """\
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: stubborn, namespace: default}
spec: {maxUnavailable: 0, selector: {matchLabels: {app: stubborn}}}
---
apiVersion: v1
kind: ReplicationController
metadata: {name: stubborn, namespace: default}
spec:
  replicas: 1
  selector: {app: stubborn}
  template:
    metadata: {labels: {app: stubborn}}
    spec:
      nodeName: w1
      containers: [{name: pause, image: "registry.k8s.io/pause:3.10.2"}]
"""


@pytest.fixture
def older(shared: Bed) -> str:
    """The version that the shared cluster was made with."""
    return str(yaml.safe_load(Path("inventories/lab.yml").read_text())["cluster"]["kubernetes"])


def report(bed: Bed, outcome: Outcome, name: str) -> dict[str, Any]:
    """What clients saw; noted for the summary at the end."""
    found: dict[str, Any] = json.loads((bed.folder / f"{name}.json").read_text())
    counts = ", ".join(f"{probe['name']} {probe['failed']} of {probe['requests']}" for probe in found["probes"])
    bed.note(f"{outcome.timing}\nfailed: {counts}")
    return found


def require_unnoticed(found: dict[str, Any], *more: str) -> None:
    """No request failed, no acknowledged write is lost, the application stayed within its budget; `more` probes."""
    assert found["unnoticed"], json.dumps({key: found[key] for key in ("problems", "remarks")}, indent=2)
    assert [probe["name"] for probe in found["probes"]] == [*PROBED, *more]
    assert sum(probe["requests"] for probe in found["probes"]) > 1000 * len(PROBED) / 5
    assert all(ledger["good"] and ledger["acknowledged"] > 0 for ledger in found["ledgers"])


def test_a_minor_upgrade_goes_unnoticed(shared: Bed, older: str) -> None:
    refused = shared.run("upgrade", "--to", skipping(older))
    refused.expect(3, "no minor may be skipped")
    done = shared.run("upgrade", "--to", NEWER, *PROBES, "--report", str(shared.folder / "there.html"))
    found = report(shared, done, "there")
    done.expect(0, f"runs Kubernetes {NEWER}")
    require_unnoticed(found)
    assert f"kubernetes: {NEWER}" in shared.inventory.read_text()
    assert versions(shared) == {NEWER}
    assert shared.ready_nodes() == sorted(shared.nodes)
    assert shared.plan() == {}
    shared.run("upgrade", "--to", NEWER).expect(0, "Nothing to change")
    older_inventory(shared, older)
    shared.run("up").expect(5, "kbootstrap upgrade --to")
    older_inventory(shared, NEWER)


def test_the_way_back_is_blocked_killed_and_broken(shared: Bed, older: str, stubborn: None) -> None:
    """A budget that lets nothing go, a kill in between, an apiserver that does not start: each time it goes on.

    At last without draining, and with proxies that know one apiserver: the probes see that.
    """
    blocked = shared.run("upgrade", "--back", "--no-probes", "--no-verify")
    blocked.expect(7, "PodDisruptionBudget default/stubborn", "w1")
    assert not cordoned(shared)
    assert versions(shared) == {NEWER}
    shared.kubectl("delete poddisruptionbudget stubborn")

    before = running_units(shared)
    killed_on_worker_two(shared)
    shared.run("plan").expect(5, "kbootstrap upgrade")
    after = running_units(shared)
    assert before["cp1"] == after["cp1"]

    broken = {"kube_apiserver": {"extra_args": {"no-such-flag": "x"}}}
    older_inventory(shared, NEWER, broken)
    probe = Probe(str(shared.spec.vip), 6443, shared.ssh("cp1", "cat /etc/kubernetes/pki/ca.crt"))
    with probing(probe):
        stopped = shared.run("upgrade", "--back", "--no-probes", "--no-verify")
    stopped.expect(1, "cp1", "kube-apiserver", "unknown flag")
    assert not probe.failures(), probe.summary(0)
    assert apiservers(shared, "cp2", "cp3") == {NEWER}

    older_inventory(shared, NEWER)
    with one_apiserver(shared, "cp2"):
        last = shared.run(
            "upgrade", "--back", "--no-drain", *PROBES, "--no-verify", "--report", str(shared.folder / "back.html")
        )
    found = report(shared, last, "back")
    last.expect(7, f"runs Kubernetes {older}")
    failed = {probe["name"]: probe["failures"] for probe in found["probes"] if probe["failures"]}
    assert {"api-new", "write-new"} <= set(failed), found["probes"]
    assert all(failure["reason"] for failures in failed.values() for failure in failures)
    assert all(ledger["good"] for ledger in found["ledgers"])
    assert versions(shared) == {older}
    assert not cordoned(shared)
    shared.require_converged()


def test_a_changed_flag_rolls_from_host_to_host(shared: Bed) -> None:
    """The same guards and gates as an upgrade's; and the endpoint never fails."""
    shared.write({"kube_apiserver": {"extra_args": {"max-requests-inflight": "401"}}})
    probe = Probe(str(shared.spec.vip), 6443, shared.ssh("cp1", "cat /etc/kubernetes/pki/ca.crt"))
    with probing(probe):
        done = shared.run("up", "--json").expect()
    events = [json.loads(line) for line in done.out.splitlines()]
    phase = [(event["event"], event["host"]) for event in events if event.get("phase") == "apiservers"]
    assert [entry for entry in phase if entry[0] != "ChangeMade"] == [
        (what, host) for host in shared.control_planes for what in ("PhaseStarted", "PhaseFinished")
    ]
    assert not probe.failures(), probe.summary(0)
    shared.write({})
    shared.run("up").expect()


def test_hosts_boot_anew_behind_the_gates(shared: Bed) -> None:
    """Also the one that holds the VIP."""
    fresh_controllers(shared)
    [holder] = vip_holders(shared)
    booted = shared.on_all("cat /proc/sys/kernel/random/boot_id", [holder, "w2"])
    probe = Probe(str(shared.spec.vip), 6443, shared.ssh("cp1", "cat /etc/kubernetes/pki/ca.crt"))
    with probing(probe):
        shared.run("reboot", "--limit", holder, "--limit", "w2").expect()
    shared.note(probe.summary(0).splitlines()[0])
    assert not probe.failures(), probe.summary(0)
    now = shared.on_all("cat /proc/sys/kernel/random/boot_id", [holder, "w2"])
    assert not {host for host in now if now[host] == booted[host]}
    assert not cordoned(shared)
    shared.require_converged()


@pytest.fixture
def stubborn(shared: Bed, shared_cluster: Shared) -> Iterator[None]:
    """A pod on w1 that its budget does not let go."""
    shared.ssh("cp1", "kubectl apply -f -", said=BUDGET)
    shared.kubectl("wait --for=condition=Ready pod -l app=stubborn --timeout=60s")
    older_inventory(shared, NEWER)
    yield
    if shared_cluster.first_up is not None:
        shared.kubectl("delete --ignore-not-found replicationcontroller,poddisruptionbudget stubborn")
        shared.write({})


def older_inventory(bed: Bed, version: str, more: dict[str, Any] | None = None) -> None:
    """The inventory with this version, and a short patience for drains."""
    bed.write({"cluster": {"kubernetes": version}, "upgrades": {"drain_seconds": 30}, **(more or {})})


def killed_on_worker_two(bed: Bed) -> None:
    """`upgrade --back`, killed as soon as w1 is done and w2 is worked on."""
    with bed.start("upgrade", "--back", "--no-probes", "--no-verify", "--json") as process:
        assert process.stdout
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "PhaseStarted" and (event["phase"], event["host"]) == ("workers", "w2"):
                break
        time.sleep(2)
        process.kill()


@contextmanager
def one_apiserver(bed: Bed, host: str) -> Iterator[None]:
    """Meanwhile all connections go to this host's apiserver, whatever becomes of it; `status` sees nothing of that."""
    signal = f"systemctl kill --signal={{}} {UNIT}".format
    alone = f"sed -i '/{bed.spec.hosts[host].address}:/!d' {LIST} && nginx -c {CONFIG} -s reload"
    bed.on_all(f"{signal('STOP')} && {alone}", bed.control_planes)
    try:
        yield
    finally:
        bed.on_all(f"{signal('CONT')} && {PROGRAM} reload", bed.control_planes)


def fresh_controllers(bed: Bed) -> None:
    """Controller-managers that know all leases of nodes.

    Each has its own host's apiserver alone. When that was away several times in two minutes, as in the tests before,
    client-go looks again only after 30 to 60 s (its reflectors' back-off), and one that leads takes nodes for dead.
    """
    leader = "-n kube-system get lease kube-controller-manager --output=jsonpath={.spec.holderIdentity}"
    before = bed.kubectl(leader)
    bed.on_all("systemctl restart kube-controller-manager", bed.control_planes)
    wait_until(lambda: bed.kubectl(leader) not in ("", before), seconds=60, what="another controller-manager leads")


def skipping(version: str) -> str:
    """A version two minors above."""
    minor = int(version.split(".")[1]) + 2
    known = load_catalogue().releases
    return str(known[f"1.{minor}"].newest) if f"1.{minor}" in known else f"1.{minor}.0"


def versions(bed: Bed) -> set[str]:
    """Of all kubelets and apiservers."""
    kubelets = bed.kubectl("get nodes --output=jsonpath='{.items[*].status.nodeInfo.kubeletVersion}'").split()
    return {version.removeprefix("v") for version in kubelets} | apiservers(bed, *bed.control_planes)


def apiservers(bed: Bed, *hosts: str) -> set[str]:
    """The versions that these hosts' apiservers say they are."""
    said = (
        bed.kubectl(f"--server=https://{bed.spec.hosts[host].address}:6443 get --raw=/version", host="cp2")
        for host in hosts
    )
    return {json.loads(text)["gitVersion"].removeprefix("v") for text in said}


def cordoned(bed: Bed) -> list[str]:
    """The nodes that take no pods."""
    return bed.kubectl("get nodes --output=jsonpath='{.items[?(@.spec.unschedulable==true)].metadata.name}'").split()
