"""Hosts lose their power: the one that holds the VIP, a worker, or all of them."""

import json
from typing import Any

from kbootstrap.drills.drill import Await, Drill, Fault, Rule
from kbootstrap.drills.faults.holder import replaceable_holder
from kbootstrap.drills.ground import Ground
from kbootstrap.drills.guards import NotPossible
from kbootstrap.drills.measure import READS, WRITES, edge, outage, reached, steady
from kbootstrap.drills.needs import holder_to_spare, power, several_workers
from kbootstrap.facts.api import ask
from kbootstrap.model.cluster import Cluster
from kbootstrap.probes.application import NAME, PREFIX, Application

SYSRQ = """\
if systemd-detect-virt --quiet --container; then
  echo "this host is a container: it would be the machine below that crashes" >&2
  exit 1
fi
echo 1 >/proc/sys/kernel/sysrq
nohup sh -c 'sleep 0.2; echo b >/proc/sysrq-trigger' >/dev/null 2>&1 &"""
"""Shell that crashes a host as a power cut would; it boots by itself."""

MOVED = "its pods are ready elsewhere"
UNREADY_SECONDS = 50
"""node-monitor-grace-period: a node that says nothing for so long is not Ready (kube-controller-manager's default)."""
TOLERATION_SECONDS = 300
"""What every pod tolerates of a node that is gone (the apiserver's default)."""
START_SECONDS = 30
"""For a pod to be deleted, scheduled, started and ready elsewhere."""


def off(ground: Ground, *hosts: str, seconds: float) -> Fault:
    """Their power is cut, and given back."""
    title = f"power off {', '.join(hosts)}"
    if ground.power is not None:
        return Fault(title, hosts, seconds=seconds, cuts_power=True)
    return Fault(title, hosts, strike=dict.fromkeys(hosts, SYSRQ), seconds=seconds, cuts_power=True)


def _holder_budget(cluster: Cluster) -> tuple[Rule, ...]:
    """With a control-plane host etcd's leader may be gone, too; with a load balancer it is the VIP alone that moves."""
    reads, writes = (2, 2) if cluster.load_balancers else (3, 5)
    return (outage("reads", reads, *READS), outage("writes", writes, *WRITES), *edge(cluster, reads))


VIP_HOLDER = Drill(
    name="vip-holder-power-off",
    title="The host that holds the VIP loses its power",
    budget=_holder_budget,
    prepare=lambda ground: off(ground, replaceable_holder(ground).name, seconds=15.0),
    needs=lambda cluster: power(cluster) or holder_to_spare(cluster),
)


def _cold(ground: Ground) -> Fault:
    return off(ground, *(host.name for host in ground.cluster.hosts), seconds=3.0)


COLD_RESTART = Drill(
    name="cold-restart",
    title="All hosts lose their power, and get it back",
    budget=lambda _cluster: (steady("healthy without a hand on it", 120),),
    prepare=_cold,
    needs=power,
    breaks_quorum=True,
    healing=300.0,
)


def toleration(cluster: Cluster) -> float:
    """Seconds from the loss of a worker until its pods must be ready elsewhere, by the cluster's configuration."""
    settings = cluster.settings
    tolerated = settings.kube_apiserver.extra_args.get("default-unreachable-toleration-seconds", TOLERATION_SECONDS)
    unready = settings.kube_controller_manager.extra_args.get("node-monitor-grace-period", f"{UNREADY_SECONDS}s")
    return float(tolerated) + float(str(unready).removesuffix("s")) + START_SECONDS


def _pods(ground: Ground) -> list[dict[str, Any]]:
    """The probes' application's."""
    text = ground.ask(ground.api(), ask([f"/api/v1/pods?labelSelector=app%3D{NAME}"]))
    found = json.loads(text) if text else {}
    return [pod for pod in found.get("items") or () if pod["metadata"]["namespace"].startswith(PREFIX)]


def _worker(ground: Ground) -> Fault:
    places = [pod["spec"].get("nodeName", "") for pod in _pods(ground)]
    victim = next((host.name for host in ground.cluster.hosts if host.is_worker and host.name in places), None)
    if victim is None:
        raise NotPossible("no pod of the application under test runs on a worker")
    return off(ground, victim, seconds=10.0)


def _moved(ground: Ground) -> str | None:
    ready = [pod["spec"]["nodeName"] for pod in _pods(ground) if _is_ready(pod)]
    alive = [node for node in ready if node not in ground.dark]
    return f"ready on {', '.join(sorted(alive))}" if len(alive) >= Application("").replicas else None


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", ())
    ready = any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


WORKER = Drill(
    name="worker-power-off",
    title="A worker loses its power",
    budget=lambda cluster: (reached(MOVED, toleration(cluster)), outage("requests of the API", 3, *READS, *WRITES)),
    prepare=_worker,
    awaits=lambda cluster: (Await(MOVED, toleration(cluster) + START_SECONDS, _moved),),
    needs=lambda cluster: power(cluster) or several_workers(cluster),
)
