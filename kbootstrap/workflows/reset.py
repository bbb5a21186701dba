"""`reset`: takes everything off the hosts again, and says what it left."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from kbootstrap.engine.journal import recorded, state_folder
from kbootstrap.engine.lock import locked
from kbootstrap.engine.plan import HostSteps, Plan, host_steps, make_plan, needs
from kbootstrap.engine.playbook import Playbook
from kbootstrap.engine.runner import Runner
from kbootstrap.facts.fact import read
from kbootstrap.facts.guard import Guard
from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.steps.package import INSTALLED
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.access import opened
from kbootstrap.workflows.apply import Run, journalled
from kbootstrap.workflows.parallel import on_all
from kbootstrap.workflows.removal import KEPT, PHASES, Removal, concerned

_LEFT = {
    "/var/log/kbootstrap (the journal)": "[ -d /var/log/kbootstrap ]",
    f"{KEPT} (etcd's data, the keys and the backups)": f"[ -d {KEPT} ]",
    "packages that kbootstrap installed (--packages removes them)": f"[ -s {INSTALLED} ]",
    **{
        f"{folder} (a file system of its own, now empty)": f"mountpoint -q {folder}"
        for folder in ("/var/lib/etcd", "/var/lib/kubelet", "/var/lib/containerd")
    },
}
_UNTIL_REBOOT = "kernel parameters and modules (until the next boot)"


@dataclass(frozen=True, slots=True)
class Ready:
    """A reset that can begin: hosts connected and locked, changes known."""

    cluster: Cluster
    connections: Mapping[str, Connection]
    plan: Plan
    untouched: tuple[str, ...]
    """Hosts that have nothing of kbootstrap's."""
    run: Run


@dataclass(frozen=True, slots=True)
class Done:
    """What a reset did and left."""

    changes: int
    left: Mapping[str, tuple[str, ...]]
    """By host."""


@contextmanager
def prepared(
    cluster: Cluster, hosts: Sequence[Host], playbook: Playbook, removal: Removal, run: Run
) -> Iterator[Ready]:
    """Connects, locks and reads the hosts. Raises when one cannot be reached, or somebody else holds the lock."""
    with opened(cluster, hosts) as connections, locked(connections, run.owner):
        steps = {host.name: _steps(playbook, cluster, host, removal) for host in hosts}
        is_ours = concerned(removal)
        seen = on_all(connections, lambda name, host: read(host, (is_ours, *needs(steps[name]))))
        ours = {name: wanted for name, wanted in steps.items() if seen[name][is_ours]}
        plan = make_plan(playbook, ours, seen)
        yield Ready(cluster, connections, plan, tuple(name for name in steps if name not in ours), run)


def _steps(playbook: Playbook, cluster: Cluster, host: Host, removal: Removal) -> HostSteps:
    return host_steps(playbook, lambda phase: PHASES[phase.phase](cluster, host, removal))


def take_off(ready: Ready) -> Done:
    """Carries the reset out. What was begun and not ended is ended by resetting again."""
    run = ready.run
    with (
        recorded(state_folder(ready.cluster.name), run.owner.run, run.emit) as sink,
        journalled(ready.connections, ready.plan, run),
    ):
        Runner(
            plan=ready.plan,
            connections=ready.connections,
            deliver=lambda _connection, _digests: "",
            checks=lambda _task: (),
            emit=sink,
            scale=ready.cluster.settings.timeouts.scale,
            stop=run.stop,
        ).run()
    touched = {task.host for task in ready.plan.tasks}
    left = on_all(ready.connections, lambda name, connection: _left(connection, touched=name in touched))
    return Done(ready.plan.changes, left)


def _left(connection: Connection, *, touched: bool) -> tuple[str, ...]:
    if not touched:
        return ()
    guards = {what: Guard(test) for what, test in _LEFT.items()}
    seen = read(connection, list(guards.values()))
    return (*(what for what, guard in guards.items() if seen[guard]), _UNTIL_REBOOT)
