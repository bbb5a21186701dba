"""Records what a healthy host and cluster answer, for the tests: `python -m tests.unit.verify.record INVENTORY`.

To be run against a lab of one control plane (cp1) and one worker (w1) after a suite has changed what it asks.
Nothing that is recorded is secret: suites never read a private key.
"""

import json
import os
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from kbootstrap.model.load import load_inventory
from kbootstrap.transport.connection import COMMAND_TIMEOUT, Result
from kbootstrap.verify.api import ApiAccess, opened_api
from kbootstrap.verify.catalogue import cluster_suites, host_suites
from kbootstrap.verify.kube import Kube, Object
from kbootstrap.verify.kube import opened as opened_kube
from kbootstrap.verify.lend import Remote
from kbootstrap.verify.report import CLUSTER, Verdict
from kbootstrap.verify.session import Job, run_session
from kbootstrap.workflows.access import opened

FOLDER = Path(__file__).parent / "recorded"
API_PATHS = (
    "/version",
    "/api/v1/nodes",
    "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-controller-manager",
    "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-scheduler",
    "/apis/apps/v1/namespaces/kube-system/deployments/coredns",
    "/api/v1/namespaces/kube-system/services/kube-dns",
    "/api/v1/namespaces/kube-system/pods",
)


@dataclass
class Recorder:
    """A Remote that notes every answer."""

    remote: Remote
    answers: dict[str, list[object]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.remote.name

    def run(self, command: str, *, timeout: float = COMMAND_TIMEOUT) -> Result:
        return self._noted(command, self.remote.run(command, timeout=timeout))

    def run_script(self, script: str, *, timeout: float = COMMAND_TIMEOUT) -> Result:
        return self._noted(script, self.remote.run_script(script, timeout=timeout))

    def _noted(self, text: str, result: Result) -> Result:
        self.answers[text] = [result.exit_code, result.stdout.decode(), result.stderr.decode()]
        return result


def main(inventory: Path) -> None:
    cluster = load_inventory(inventory, environ=os.environ)
    now = datetime.now(UTC)
    problems = []
    with opened(cluster) as connections, opened_api(cluster, connections) as access:
        assert isinstance(access, ApiAccess), access
        recorders = {name: Recorder(connection) for name, connection in connections.items()}
        first = cluster.control_planes[0]
        for job in (
            Job(first.name, host_suites(cluster, first), cluster, (first.name,), 14, now),
            Job(CLUSTER, cluster_suites(cluster), cluster, tuple(connections), 14, now, access),
        ):
            remotes = {name: recorders[name] for name in job.hosts}
            run_session(job, remotes, lambda o: problems.append(o) if o.verdict is Verdict.FAILED else None)
        with opened_kube(access) as kube:
            _write("api", {path: _asked(kube, path) for path in API_PATHS})
    assert not problems, problems
    _write("hosts", {name: recorder.answers for name, recorder in recorders.items()})
    _write("meta", {"recorded": now.isoformat()})


def _asked(kube: Kube, path: str) -> Object:
    answer = kube.get(path, labelSelector="k8s-app=kube-dns") if path.endswith("/pods") else kube.get(path)
    for item in [answer, *answer.get("items", [])]:
        item.get("metadata", {}).pop("managedFields", None)
    return answer


def _write(name: str, value: object) -> None:
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(value, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
