"""Secrets: encrypted where they are stored, and every access to them written down."""

import pytest

from kbootstrap.model.cluster import Cluster
from kbootstrap.verify import manifests
from kbootstrap.verify.asking import etcdctl
from kbootstrap.verify.everywhere import Everywhere
from kbootstrap.verify.stage import Stage

ENCRYPTED = "k8s:enc:secretbox:v1:"


def test_encryption_at_rest(stage: Stage, hosts: Everywhere, cluster: Cluster) -> None:
    """A Secret that was written through the API is not readable in etcd."""
    if cluster.settings.kube_apiserver.encryption == "none":
        pytest.skip("the inventory turns it off")
    members = [host.name for host in cluster.etcd_members if host.name in hosts.remotes]
    key = f"/registry/secrets/{stage.namespace}/{manifests.SECRET}"
    stored = f"{etcdctl(cluster)} get --print-value-only {key}"
    read = hosts.run(f"{stored} | head --bytes={len(ENCRYPTED)} | tr --complement '[:print:]' '.'", members[:1])
    assert list(read.values()) == [ENCRYPTED], "the beginning of what is stored"


def test_audit_log(stage: Stage, hosts: Everywhere, cluster: Cluster) -> None:
    """What we did is in the audit log of an apiserver."""
    if cluster.settings.kube_apiserver.audit_log_days == 0:
        pytest.skip("the inventory turns it off")
    control_planes = [host.name for host in cluster.control_planes]
    search = f"tail --bytes=20M /var/log/kubernetes/audit/audit.log | grep --count --fixed-strings {stage.namespace}"
    counts = hosts.run(f"{search} || true", control_planes)
    found = [name for name, count in counts.items() if count.isdigit() and int(count) > 0]
    assert found != [], f"lines about {stage.namespace} in the audit logs"
