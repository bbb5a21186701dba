"""The host's own etcd member."""

from testinfra.host import Host as Remote

from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.verify.asking import etcdctl, limit


def test_healthy(host: Remote, cluster: Cluster) -> None:
    """The member answers a read that needs a quorum."""
    health = host.run(f"{etcdctl(cluster)} endpoint health")
    assert health.succeeded, "etcd has no quorum, or the member is not part of it; on the host: journalctl -u etcd"


def test_clients_need_a_certificate(host: Remote, subject: Host, cluster: Cluster) -> None:
    """Nobody without a certificate of etcd's authority gets in."""
    answers = {
        port: host.run(
            f"curl --silent --insecure {limit(cluster)} --output /dev/null https://{subject.address}:{port}/version"
        ).rc
        for port in (2379, 2380)
    }
    refused = {port: code for port, code in answers.items() if code == 0}
    assert refused == {}, "these ports let in a client without a certificate"
