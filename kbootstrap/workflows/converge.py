"""What differs between the hosts and what they should be by a playbook and the inventory, and making it so."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kbootstrap.engine.journal import now
from kbootstrap.engine.lock import Owner, new_owner
from kbootstrap.engine.plan import Plan
from kbootstrap.engine.playbook import Playbook
from kbootstrap.engine.selectors import limited
from kbootstrap.errors import InvalidInput, KbootstrapError
from kbootstrap.events import Sink
from kbootstrap.facts.fact import Fact
from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.model.versions import Version
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.access import reached, require_all
from kbootstrap.workflows.apply import exclusive, execute
from kbootstrap.workflows.preflight import preflight_facts, require_fit
from kbootstrap.workflows.releases import ETCD, VERSIONS, require_installed_version, require_way_for_etcd
from kbootstrap.workflows.supplies import release_of
from kbootstrap.workflows.survey import FirstLook, Survey, first_look, make_survey


class PlanOutdated(KbootstrapError):
    """The hosts, or the inventory, have changed since a plan was saved."""


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """What `plan --out` keeps: which changes, and a fingerprint of the states they lead to. No secrets."""

    cluster: str
    made: str
    fingerprint: str
    changes: tuple[str, ...]

    def to_json(self) -> str:
        return json.dumps(
            {
                "kind": "kbootstrap-plan/v1",
                "cluster": self.cluster,
                "made": self.made,
                "fingerprint": self.fingerprint,
                "changes": list(self.changes),
            },
            indent=2,
        )


def change_lines(plan: Plan) -> tuple[str, ...]:
    """Every change as `host: phase: title`."""
    return tuple(f"{task.host}: {task.phase}: {change.title}" for task in plan.tasks for change in task.changes)


def saved(cluster: Cluster, plan: Plan) -> SavedPlan:
    """The plan in the form that is kept."""
    return SavedPlan(cluster.name, now(), plan.fingerprint, change_lines(plan))


def load_saved(path: Path) -> SavedPlan:
    """Reads a saved plan. Raises InvalidInput when it is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        if value["kind"] != "kbootstrap-plan/v1":
            raise ValueError(f"its kind is {value['kind']!r}")
        return SavedPlan(value["cluster"], value["made"], value["fingerprint"], tuple(value["changes"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{path} is not a saved plan: {error}", hint="make one with `plan --out`") from error


@dataclass(frozen=True, slots=True)
class Wish:
    """What to do: a playbook, where a user's own has its files, and the hosts (names and roles; empty: all)."""

    playbook: Playbook
    folder: Path = Path()
    limit: tuple[str, ...] = ()


def plan(cluster: Cluster, wish: Wish, emit: Sink) -> Plan:
    """What running the playbook would change now. Reads the hosts and changes nothing."""
    with connected(cluster, wish.limit) as connections:
        return _survey(cluster, connections, wish, emit).plan


Before = Callable[[Mapping[str, Connection], Owner], None]
"""What is done to the hosts that are wished for when they are locked, and nothing has been read yet."""


def converge(
    cluster: Cluster,
    wish: Wish,
    emit: Sink,
    *,
    command: str,
    only: SavedPlan | None = None,
    before: Before = lambda _connections, _owner: None,
) -> Plan:
    """Brings the hosts to what the playbook and the inventory say, and passes the playbook's checks.

    `command` is what the journal and the lock will say. With `only`, executes exactly that plan or refuses. Raises
    Locked while somebody else changes the cluster.
    """
    owner = new_owner(command)
    with connected(cluster, wish.limit) as connections, exclusive(cluster, connections, owner, emit) as run:
        wanted = {host.name for host in limited(cluster, wish.limit)}
        before({name: host for name, host in connections.items() if name in wanted}, owner)
        survey = _survey(cluster, connections, wish, run.emit)
        if only is not None:
            _require_same(only, saved(cluster, survey.plan))
        execute(cluster, connections, survey, run)
        return survey.plan


@contextmanager
def connected(cluster: Cluster, limit: Sequence[str] = ()) -> Iterator[dict[str, Connection]]:
    """Connections to the hosts wished for, and to what can be reached of the control plane, which has the keys, and of
    the load balancers, which must be told when an apiserver goes.
    """
    wanted = {host.name for host in limited(cluster, limit)}
    asked = [host for host in cluster.hosts if host.name in wanted or host.is_control_plane or host.is_load_balancer]
    with reached(cluster, asked) as (connections, failures):
        require_all({name: failure for name, failure in failures.items() if name in wanted})
        yield connections


def look_around(
    cluster: Cluster,
    connections: Mapping[str, Connection],
    wanted: Collection[str],
    emit: Sink,
    more: Callable[[Host], Sequence[Fact[Any]]] = lambda _host: (),
) -> dict[str, FirstLook]:
    """The first look at all hosts that are connected; `more` are further facts that the caller wants of a host.

    Raises PreflightFailed when one of `wanted` is not fit, or etcd could not go where it is wanted.
    """
    hosts = {name: cluster.host(name) for name in connections}
    facts = {name: (*preflight_facts(cluster, host), VERSIONS, ETCD, *more(host)) for name, host in hosts.items()}
    looks = first_look(cluster, connections, facts)
    require_fit(cluster, {name: look for name, look in looks.items() if name in wanted}, emit)
    require_way_for_etcd(Version.parse(release_of(cluster).etcd), {name: look.facts for name, look in looks.items()})
    return looks


def _survey(cluster: Cluster, connections: Mapping[str, Connection], wish: Wish, emit: Sink) -> Survey:
    wanted = {host.name for host in limited(cluster, wish.limit)}
    looks = look_around(cluster, connections, wanted, emit)
    require_installed_version(cluster, {name: look.facts for name, look in looks.items()})
    changing = {name: connection for name, connection in connections.items() if name in wanted}
    return make_survey(cluster, changing, looks, wish.playbook, wish.folder, emit)


def _require_same(kept: SavedPlan, current: SavedPlan) -> None:
    if kept.cluster != current.cluster:
        raise InvalidInput(f"the plan is for the cluster {kept.cluster!r}, not for {current.cluster!r}")
    if kept.fingerprint == current.fingerprint:
        return
    gone = [f"- {line}" for line in kept.changes if line not in current.changes]
    new = [f"+ {line}" for line in current.changes if line not in kept.changes]
    raise PlanOutdated(
        f"the hosts or the inventory have changed since the plan was made ({kept.made}); nothing was done",
        output="\n".join(gone + new) or "the same changes, with other content",
        hint="make a new plan and read it",
    )
