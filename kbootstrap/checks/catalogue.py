"""The checks that playbooks name, and how long each may take."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from kbootstrap.checks import glance
from kbootstrap.checks.check import Check
from kbootstrap.model.cluster import Cluster, Host

KUBECTL = "/usr/local/bin/kubectl"
CA = "/etc/kubernetes/pki/ca.crt"
ETCDCTL = "/usr/local/bin/etcdctl"
LIBEXEC = "/opt/kbootstrap/libexec"

RAFT_ENTRIES_BEHIND = 1000
"""How far apart members may be: they are asked one after another while clients write on, and a follower that is
5000 behind (etcd's --experimental-snapshot-catch-up-entries) would need a whole snapshot."""

_IN_STEP = (
    'NF > 12 { seen++; learners += ($10 == "true"); if (!low || $13 < low) low = $13; if ($13 > high) high = $13 }'
    " END { if (seen != members || learners || high - low > bound) {"
    ' print seen + 0 " of " members " members, " learners + 0 " learners, " high - low " raft entries apart"'
    "; exit 1 } }"
)
"""awk, over etcdctl's lines: the tenth column says whether it is a learner, the thirteenth is its applied index."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a check is about: a host of a cluster, and all hosts that the run concerns (`--limit`)."""

    cluster: Cluster
    host: Host
    hosts: tuple[Host, ...]


def etcd_healthy(scope: Scope) -> Check:
    """The host's own member answers a linearizable read, so there is a leader and a quorum."""
    return Check(
        "etcd-healthy",
        f"{ETCDCTL} endpoint health",
        deadline=60,
        hint="on the host: journalctl -u etcd",
    )


def etcd_in_step(scope: Scope) -> Check:
    """All members are healthy voters, and none lags behind the others."""
    members = len(scope.cluster.etcd_members)
    return Check(
        "etcd-in-step",
        f"{ETCDCTL} endpoint health --cluster && {ETCDCTL} endpoint status --cluster |"
        f" awk -F', ' '{_IN_STEP}' members={members} bound={RAFT_ENTRIES_BEHIND} -",
        deadline=60,
        hint="`kbootstrap status` shows every member; on the one that lags: journalctl -u etcd",
        asked=tuple(member.name for member in (scope.host, *scope.cluster.etcd_members) if member.is_etcd),
    )


def apiserver_ready(scope: Scope) -> Check:
    """The host's own apiserver says that it is ready."""
    url = f"https://{scope.host.address}:{scope.cluster.settings.endpoint.port}/readyz"
    return Check(
        "apiserver-ready",
        f"curl --silent --show-error --fail --max-time 3 --cacert {CA} {url}",
        deadline=90,
        interval=0.1,
        hint="on the host: journalctl -u kube-apiserver",
    )


def apiserver_well(scope: Scope) -> Check:
    """The same, or it does not run at all: a run that was cut short stopped it, or it cannot start.

    Then it is the first that a rollout mends, and must not keep it from beginning.
    """
    ready = apiserver_ready(scope)
    probe = f"! systemctl is-active --quiet kube-apiserver || {ready.probe}"
    return replace(ready, name="apiserver-well", probe=probe)


def controllers_healthy(scope: Scope) -> Check:
    """The host's own controller-manager and scheduler say that they are."""
    return Check(
        "controllers-healthy",
        "curl --silent --show-error --fail --insecure --max-time 3 https://127.0.0.1:10257/healthz"
        " https://127.0.0.1:10259/healthz",
        deadline=60,
        hint="on the host: journalctl -u kube-controller-manager -u kube-scheduler",
    )


def controllers_led(scope: Scope) -> Check:
    """Somebody leads the controller-managers and the schedulers: both leases are renewed, which leaders do every 2 s.

    After the leader has ended it takes up to the lease's 12 s until another leads. Meanwhile nobody takes a pod that
    ends out of its Services: whoever drains a node then has users run into the void.
    """
    leases = (
        f"{KUBECTL} --namespace=kube-system get lease kube-controller-manager kube-scheduler"
        " --output=jsonpath='{.items[0].spec.renewTime} {.items[1].spec.renewTime}'"
    )
    return Check(
        "controllers-led",
        f"leases() {{ {leases}; }}\n"
        "before=$(leases) || { leases; exit 1; }\n"
        'until now=$(leases) && [ "${now% *}" != "${before% *}" ] && [ "${now#* }" != "${before#* }" ]; do\n'
        '  [ "$(remaining)" -gt 1 ] || { echo "not renewed since $before"; exit 1; }\n'
        "  sleep 0.5\n"
        "done",
        deadline=60,
        hint="on the control-plane hosts: journalctl -u kube-controller-manager -u kube-scheduler",
        asked=tuple(other.name for other in scope.cluster.control_planes),
    )


def node_ready(scope: Scope) -> Check:
    """The host's node is Ready, and says so with the version that is wanted."""
    states = '{.status.nodeInfo.kubeletVersion} {.status.conditions[?(@.type=="Ready")].status}'
    return Check(
        "node-ready",
        f"said=$({KUBECTL} get node {scope.host.name} --output=jsonpath='{states}') && echo \"$said\" &&"
        f' [ "$said" = "v{scope.cluster.kubernetes} True" ]',
        deadline=120,
        interval=0.5,
        hint="on the host: journalctl -u kubelet -u containerd -u flanneld",
        asked=tuple(other.name for other in scope.cluster.control_planes),
    )


def boot_known(scope: Scope) -> Check:
    """The host's kubelet has told the API of its present boot, and with it how its node is.

    Until it has, the node may still be Ready from before: for as long as the controllers wait for one that is silent.
    """
    return Check(
        "boot-known",
        glance.boot_known(scope.host.name),
        deadline=120,
        interval=0.5,
        hint="on the host: journalctl -u kubelet",
    )


def kubelet_healthy(scope: Scope) -> Check:
    """The host's own kubelet and kube-proxy answer."""
    return Check(
        "kubelet-healthy",
        "curl --silent --show-error --fail --max-time 3 http://127.0.0.1:10248/healthz http://127.0.0.1:10256/livez",
        deadline=60,
        hint="on the host: journalctl -u kubelet -u kube-proxy",
    )


def endpoint_ready(scope: Scope) -> Check:
    """The API answers at the address that clients use."""
    port = scope.cluster.settings.endpoint.port
    url = f"https://{scope.cluster.endpoint_host}:{port}/readyz"
    return Check(
        "endpoint-ready",
        f"curl --silent --show-error --fail --max-time 3 --cacert {CA} {url}",
        deadline=60,
        interval=0.1,
        hint="which host holds the VIP, and do nginx and keepalived run there? `kbootstrap status` shows it",
    )


def balancer_ready(scope: Scope) -> Check:
    """The host's own proxies live, and it would take a virtual IP."""
    return Check(
        "balancer-ready",
        f"systemctl is-active --quiet kube-endpoint-keepalived &&"
        f" {LIBEXEC}/endpoint-alive && {LIBEXEC}/endpoint-useful",
        deadline=60,
        hint="on the host: journalctl -u kube-endpoint-keepalived -u kube-endpoint-nginx -u kube-edge-nginx",
    )


def nodes_ready(scope: Scope) -> Check:
    """Every host that the run is about, and that should be a node, is one and Ready."""
    nodes = [node.name for node in scope.hosts if node.is_node]
    names = " ".join(f"node/{name}" for name in nodes)
    return Check(
        "nodes-ready",
        f"{glance.nodes_ready(nodes)} ||"
        f' {{ {KUBECTL} wait --for=create --timeout="$(remaining)s" {names} >/dev/null &&'
        f' {KUBECTL} wait --for=condition=Ready --timeout="$(remaining)s" {names} >/dev/null; }}',
        deadline=180,
        hint="on a node that is not ready: journalctl -u kubelet -u containerd -u flanneld",
    )


def dns_ready(scope: Scope) -> Check:
    """CoreDNS has all its replicas."""
    return Check(
        "dns-ready",
        f"{glance.deployment_complete('kube-system', 'coredns')} ||"
        f' {KUBECTL} --namespace=kube-system rollout status deployment/coredns --timeout="$(remaining)s"',
        deadline=180,
        hint="kubectl -n kube-system describe deployment/coredns says why its pods do not start",
    )


CHECKS: Mapping[str, Callable[[Scope], Check]] = {
    "etcd-healthy": etcd_healthy,
    "etcd-in-step": etcd_in_step,
    "apiserver-ready": apiserver_ready,
    "apiserver-well": apiserver_well,
    "controllers-healthy": controllers_healthy,
    "controllers-led": controllers_led,
    "kubelet-healthy": kubelet_healthy,
    "boot-known": boot_known,
    "node-ready": node_ready,
    "endpoint-ready": endpoint_ready,
    "balancer-ready": balancer_ready,
    "nodes-ready": nodes_ready,
    "dns-ready": dns_ready,
}
