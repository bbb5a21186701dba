"""What the live checks share: the stage, its pods, and one round of requests from everywhere to everywhere."""

from collections.abc import Iterator, Mapping

import pytest

from kbootstrap.model.cluster import Cluster
from kbootstrap.verify import manifests
from kbootstrap.verify.asking import ANSWER_SECONDS
from kbootstrap.verify.everywhere import Everywhere
from kbootstrap.verify.kube import Kube
from kbootstrap.verify.probes import DEADLINE_SECONDS, Probe, Probed, script
from kbootstrap.verify.session import JOB
from kbootstrap.verify.stage import Pod, Pods, Stage, of_each, running_pods, staged

PORT = manifests.PORT


@pytest.fixture(scope="session")
def image_problems(request: pytest.FixtureRequest) -> Mapping[str, str]:
    """Why the image could not be brought to a node, by node."""
    return request.config.stash[JOB].image_problems


@pytest.fixture(scope="session")
def stage(api: Kube, cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Stage]:
    """The namespace of the checks; taken away when they end, however they end."""
    with staged(api, request.config.stash[JOB].image, cluster.settings.timeouts.scale) as stage:
        yield stage


@pytest.fixture(scope="session")
def pods(api: Kube, stage: Stage, cluster: Cluster) -> Pods:
    """The pods, once they are ready."""
    nodes = [node.name for node in cluster.nodes]
    return running_pods(api, stage.namespace, nodes, cluster.settings.timeouts.scale)


@pytest.fixture(scope="session")
def logs(api: Kube, stage: Stage, pods: Pods) -> Mapping[str, str]:
    """Every pod's log, by node."""
    return of_each(pods, lambda pod: api.text(f"/api/v1/namespaces/{stage.namespace}/pods/{pod.name}/log"))


@pytest.fixture(scope="session")
def executions(api: Kube, stage: Stage, cluster: Cluster, pods: Pods) -> Mapping[str, str]:
    """How a command ended that connects to the API by its name, in every pod, by node."""
    limit = f"--timeout={cluster.settings.timeouts.scaled(ANSWER_SECONDS)}s"
    find = ("/agnhost", "connect", limit, "kubernetes.default.svc:443")
    return of_each(pods, lambda pod: api.run(stage.namespace, pod.name, find))


@pytest.fixture(scope="session")
def probed(cluster: Cluster, stage: Stage, pods: Pods, hosts: Everywhere) -> Probed:
    """All requests, from all hosts at once."""
    probes = {
        name: _probes(cluster, stage, pods.ready, pod) for name, pod in pods.ready.items() if name in hosts.remotes
    }
    scripts = {name: script(wanted, cluster.settings.timeouts) for name, wanted in probes.items()}
    return Probed(probes, hosts.run_each(scripts, seconds=DEADLINE_SECONDS + 30))


def _probes(cluster: Cluster, stage: Stage, pods: Mapping[str, Pod], own: Pod) -> list[Probe]:
    """The requests of one host: its own, and those that its pod makes for it."""
    service = f"{manifests.CLUSTER_SERVICE}.{stage.namespace}"
    port, any_pod = manifests.SERVICE_PORT, f"{manifests.APP}-"
    vip = cluster.settings.endpoint.vip if cluster.settings.endpoint.mode == "vip" else None
    doors = {host.name: str(host.address) for host in cluster.nodes if host.name in pods}
    doors |= {"the VIP": str(vip)} if vip else {}
    full = f"{service}.svc.{cluster.settings.network.domain}"
    return [
        *(Probe("pod-to-pod", node, _dial(own, pod.address, PORT), pod.name) for node, pod in pods.items()),
        Probe("pod-to-service", service, _dial(own, stage.cluster_ip, port), any_pod),
        Probe("pod-dns", service, _dial(own, service, port), any_pod),
        Probe("pod-dns", full, _dial(own, f"{full}.", port), any_pod),
        *(Probe("host-to-pod", node, f"http://{pod.address}:{PORT}/hostname", pod.name) for node, pod in pods.items()),
        Probe("host-to-service", service, f"http://{stage.cluster_ip}:{port}/hostname", any_pod),
        *(
            Probe("node-port", f"{name} ({address})", f"http://{address}:{stage.node_port}/hostname", any_pod)
            for name, address in doors.items()
        ),
    ]


def _dial(pod: Pod, host: str, port: int) -> str:
    """A request to a pod that makes it ask another; the answer holds the other's."""
    target = f"host={host}&port={port}&protocol=http&request=hostname&tries=1"
    return f"http://{pod.address}:{PORT}/dial?{target}"
