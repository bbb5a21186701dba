"""The host's own apiserver, controller-manager and scheduler."""

import pytest
from testinfra.host import Host as Remote

from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.pki import paths
from kbootstrap.verify.asking import limit, status_code
from kbootstrap.verify.layout import Flag
from kbootstrap.verify.reading import flags

HEALTH = ("/livez", "/readyz", "/healthz")
FORBIDDEN = ("/", "/api", "/apis", "/version", "/metrics", "/openapi/v2", "/api/v1/secrets", "/logs", "/debug/pprof/")

REFUSED = ("401", "403")


def test_ready(host: Remote, subject: Host, cluster: Cluster) -> None:
    """The apiserver is ready at the host's own address."""
    url = f"https://{subject.address}:{cluster.settings.endpoint.port}/readyz?verbose"
    answer = host.run(f"curl --silent --show-error {limit(cluster)} --cacert {paths.CA_CERTIFICATE} '{url}'")
    assert answer.succeeded, "it does not answer; on the host: journalctl -u kube-apiserver"
    failing = [line for line in answer.stdout.splitlines() if line.startswith("[-]")]
    assert failing == [], "it is not ready"
    assert answer.stdout.rstrip().endswith("readyz check passed"), "it is not ready"


def test_anonymous(host: Remote, subject: Host, cluster: Cluster) -> None:
    """The apiserver tells strangers whether it is well, and nothing else."""
    base = f"https://{subject.address}:{cluster.settings.endpoint.port}"
    answers = _codes(host, cluster, {path: f"{base}{path}" for path in (*HEALTH, *FORBIDDEN)})
    silent = {path: answers[path] for path in HEALTH if answers[path] in (*REFUSED, "000")}
    assert silent == {}, "load balancers cannot ask whether it is well"
    open_paths = {path: answers[path] for path in FORBIDDEN if answers[path] not in REFUSED}
    assert open_paths == {}, "strangers are let in"


@pytest.mark.parametrize("daemon", ["kube-controller-manager", "kube-scheduler"])
def test_daemon(host: Remote, cluster: Cluster, daemon: str) -> None:
    """The daemon is well, and tells strangers nothing."""
    port = {"kube-controller-manager": 10257, "kube-scheduler": 10259}[daemon]
    base = f"https://127.0.0.1:{port}"
    answers = _codes(host, cluster, {"/healthz": f"{base}/healthz", "/metrics": f"{base}/metrics"})
    assert answers["/healthz"] == "200", f"on the host: journalctl -u {daemon}"
    assert answers["/metrics"] in REFUSED, "its metrics, asked for by a stranger"


def test_flag(host: Remote, apiserver_flag: Flag) -> None:
    """The apiserver runs with the flag."""
    cmdline = host.run("cat /proc/$(systemctl show --value --property=MainPID kube-apiserver)/cmdline")
    if cmdline.failed:
        pytest.skip("it does not run; another test says so")
    has = flags(cmdline.stdout)
    assert has.get(apiserver_flag.name, "") == apiserver_flag.value, f"{apiserver_flag} has another value"


def test_audit_log(host: Remote, cluster: Cluster) -> None:
    """The audit log is written."""
    if cluster.settings.kube_apiserver.audit_log_days == 0:
        pytest.skip("the inventory turns it off")
    file = host.file("/var/log/kubernetes/audit/audit.log")
    assert file.exists, "there is none"
    assert f"{file.user} {file.mode:04o}" == "root 0600", "it can be read too widely"


def _codes(host: Remote, cluster: Cluster, urls: dict[str, str]) -> dict[str, str]:
    """The HTTP status by key; 000 where there was no answer."""
    probes = "\n".join(f"{status_code(cluster)} --insecure '{url}'; echo" for url in urls.values())
    return dict(zip(urls, host.run(probes).stdout.split(), strict=True))
