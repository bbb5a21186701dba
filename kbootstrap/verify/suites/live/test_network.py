"""The network: pods, Services, DNS and NodePorts, from every host and every pod."""

from typing import TYPE_CHECKING

from kbootstrap.model.cluster import Host

if TYPE_CHECKING:
    from kbootstrap.verify.probes import Probed


def test_pod_to_pod(probed: "Probed", node: Host) -> None:
    """The node's pod reaches the pods of all nodes."""
    assert probed.failures(node.name, "pod-to-pod") == {}, "the pods of these nodes do not answer it"


def test_pod_to_service(probed: "Probed", node: Host) -> None:
    """The node's pod reaches a Service."""
    assert probed.failures(node.name, "pod-to-service") == {}, "the Service's address does not answer it"


def test_pod_dns(probed: "Probed", node: Host) -> None:
    """The node's pod reaches a Service by its name."""
    assert probed.failures(node.name, "pod-dns") == {}, "is CoreDNS well? kubectl -n kube-system get pods"


def test_host_to_pod(probed: "Probed", node: Host) -> None:
    """The node itself reaches the pods of all nodes."""
    assert probed.failures(node.name, "host-to-pod") == {}, "the pods of these nodes do not answer it"


def test_host_to_service(probed: "Probed", node: Host) -> None:
    """The node itself reaches a Service."""
    assert probed.failures(node.name, "host-to-service") == {}, "on the node: journalctl -u kube-proxy"


def test_node_port(probed: "Probed", node: Host) -> None:
    """The node reaches a NodePort on every node, and on the VIP."""
    assert probed.failures(node.name, "node-port") == {}, "the NodePort does not answer there"
