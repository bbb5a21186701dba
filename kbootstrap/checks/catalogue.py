"""The checks that playbooks name, and how long each may take."""

from collections.abc import Callable, Mapping

from kbootstrap.checks.check import Check
from kbootstrap.model.cluster import Cluster, Host

KUBECTL = "/usr/local/bin/kubectl"
CA = "/etc/kubernetes/pki/ca.crt"
ETCDCTL = "/usr/local/bin/etcdctl"


def etcd_healthy(cluster: Cluster, host: Host) -> Check:
    """The host's own member answers a linearizable read, so there is a leader and a quorum."""
    return Check(
        "etcd-healthy",
        f"{ETCDCTL} endpoint health",
        deadline=60,
        hint="on the host: journalctl -u etcd",
    )


def apiserver_ready(cluster: Cluster, host: Host) -> Check:
    """The host's own apiserver says that it is ready."""
    url = f"https://{host.address}:{cluster.settings.endpoint.port}/readyz"
    return Check(
        "apiserver-ready",
        f"curl --silent --show-error --fail --max-time 3 --cacert {CA} {url}",
        deadline=90,
        interval=0.1,
        hint="on the host: journalctl -u kube-apiserver",
    )


def endpoint_ready(cluster: Cluster, host: Host) -> Check:
    """The API answers at the address that clients use."""
    port = cluster.settings.endpoint.port
    url = f"https://{cluster.endpoint_host}:{port}/readyz"
    return Check(
        "endpoint-ready",
        f"curl --silent --show-error --fail --max-time 3 --cacert {CA} {url}",
        deadline=60,
        interval=0.1,
        hint="which host holds the VIP, and do nginx and keepalived run there? `kbootstrap status` shows it",
    )


def nodes_ready(cluster: Cluster, host: Host) -> Check:
    """Every host of the inventory is a node and Ready."""
    names = " ".join(f"node/{node.name}" for node in cluster.nodes)
    return Check(
        "nodes-ready",
        f"{KUBECTL} wait --for=create --timeout=$(remaining)s {names} >/dev/null &&"
        f" {KUBECTL} wait --for=condition=Ready --timeout=$(remaining)s {names} >/dev/null",
        deadline=180,
        hint="on a node that is not ready: journalctl -u kubelet -u containerd -u flanneld",
    )


def dns_ready(cluster: Cluster, host: Host) -> Check:
    """CoreDNS has all its replicas."""
    return Check(
        "dns-ready",
        f"{KUBECTL} --namespace=kube-system rollout status deployment/coredns --timeout=$(remaining)s",
        deadline=180,
        hint="kubectl -n kube-system describe deployment/coredns says why its pods do not start",
    )


CHECKS: Mapping[str, Callable[[Cluster, Host], Check]] = {
    "etcd-healthy": etcd_healthy,
    "apiserver-ready": apiserver_ready,
    "endpoint-ready": endpoint_ready,
    "nodes-ready": nodes_ready,
    "dns-ready": dns_ready,
}
