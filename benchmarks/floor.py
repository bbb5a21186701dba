"""The floor of `up`: what the hosts themselves have to do, and nothing else.

The very scripts that `up` would send are made beforehand by kbootstrap's planner, all artifacts lie on the hosts
already (to `fetch` one is to link a file), and packages are installed. What remains is to send each phase's script
with `ssh HOST sh`, in the order and with the side-by-side of the playbook, without reading or checking anything,
and to wait until the nodes and DNS are ready. So the difference to `up` is Python, reading, planning, locking,
checks, the journal, the delivery of the artifacts and the installation of packages.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from benchmarks.bed import Bed
from benchmarks.openssh import OpenSsh
from benchmarks.reading import survey
from kbootstrap.checks.catalogue import CHECKS, KUBECTL, Scope
from kbootstrap.engine.delivery import delivering
from kbootstrap.engine.order import Job, dependencies
from kbootstrap.engine.plan import Plan
from kbootstrap.engine.script import task_script
from kbootstrap.model.cluster import Cluster
from kbootstrap.steps.step import Change
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.access import opened
from kbootstrap.workflows.parallel import on_all
from kbootstrap.workflows.survey import Survey

STORE = "/var/cache/benchmark"
"""On the hosts: the artifacts, by digest."""
LINK = f'fetch() {{ ln -f "{STORE}/$1" "$2"; }}\n'
API_ANSWERS = f"until {KUBECTL} get --raw /readyz >/dev/null 2>&1; do sleep 0.1; done\n"
"""Has to be waited for where the checks before it are left out."""
PREPARE_SECONDS = 600.0


@dataclass(slots=True)
class Floor:
    """Prepared anew before every run."""

    bed: Bed
    _scripts: Mapping[Job, str] = field(default_factory=dict)
    _waits: Mapping[Job, set[Job]] = field(default_factory=dict)

    def prepare(self) -> None:
        """New hosts with artifacts and packages on them, and the scripts for everything else."""
        self.bed.renew()
        cluster = self.bed.cluster
        with opened(cluster) as connections:
            _supply(cluster, connections, survey(cluster, connections))
            plan = survey(cluster, connections).plan
        self._scripts = _scripts(cluster, plan)
        self._waits = dependencies(plan)

    def run(self) -> None:
        """Every script as soon as those it waits for have ended."""
        jobs: dict[Job, Future[None]] = {}
        with ThreadPoolExecutor(len(self._waits)) as pool:  # one each: those that wait must not hold up the others
            for job, before in self._waits.items():
                jobs[job] = pool.submit(_send, self.bed.ssh, job, self._scripts[job], [jobs[name] for name in before])
        for sent in jobs.values():
            sent.result()


def _send(ssh: OpenSsh, job: Job, script: str, before: Sequence[Future[None]]) -> None:
    for other in before:
        other.result()
    if script:
        ssh.run(job.host, script)


def _scripts(cluster: Cluster, plan: Plan) -> dict[Job, str]:
    """What each host is sent in each phase; empty where nothing is to be done."""
    scripts = {Job(task.phase, task.host): _script(task.changes) for task in plan.tasks}
    for job, script in scripts.items():
        if job.phase == "cluster":
            scripts[job] = API_ANSWERS + script
    ready = plan.playbook.phases[-1]
    for host in plan.hosts(ready):
        checks = (CHECKS[name](Scope(cluster, cluster.host(host), cluster.hosts)) for name in ready.checks)
        scripts[Job(ready.phase, host)] = "set -e\n" + "".join(f"(\n{check.script()})\n" for check in checks)
    return scripts


def _script(changes: Sequence[Change]) -> str:
    return task_script(changes, LINK, "done").text if changes else ""


def _supply(cluster: Cluster, connections: Mapping[str, Connection], found: Survey) -> None:
    """Brings every artifact of a plan to the hosts that need it, and installs its packages."""
    addresses = {host.name: str(host.address) for host in cluster.hosts}
    with delivering(found.supplies.all, addresses, "depot") as deliver:

        def supply(name: str, connection: Connection) -> None:
            tasks = [task for task in found.plan.tasks if task.host == name]
            digests = sorted({sha256 for task in tasks for change in task.changes for sha256 in change.deliveries})
            fetches = "\n".join(f"fetch {sha256} {STORE}/{sha256}" for sha256 in digests)
            script = f"set -eu\nmkdir -p {STORE}\n{deliver(connection, digests)}\n{fetches}\n"
            connection.run_script(script, timeout=PREPARE_SECONDS).require()
            packages = [change for task in tasks if task.phase == "packages" for change in task.changes]
            connection.run_script(_script(packages), timeout=PREPARE_SECONDS).require()

        on_all(connections, supply)
