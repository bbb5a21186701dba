"""Which version of Kubernetes the hosts use, and which way leads to another. Decides; touches nothing."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from kbootstrap.components.binaries import OPT
from kbootstrap.engine.journal import Entry
from kbootstrap.engine.plan import Task
from kbootstrap.errors import InvalidInput, PreflightFailed
from kbootstrap.facts.fact import Facts
from kbootstrap.facts.versions import VersionsInUse
from kbootstrap.model import skew
from kbootstrap.model.cluster import Cluster
from kbootstrap.model.versions import Version

VERSIONS = VersionsInUse(str(OPT), skew.PARTS)
"""What has to be read from every host."""

ETCD = VersionsInUse(str(OPT), ("etcd",))
"""What has to be read from every etcd host."""

_COMMAND = re.compile(r"upgrade (\d+\.\d+\.\d+) -> (\d+\.\d+\.\d+)")


def installed(seen: Mapping[str, Facts]) -> skew.Installed:
    """The versions that the hosts are set to use."""
    return {host: {part: found.linked for part, found in facts[VERSIONS].items()} for host, facts in seen.items()}


@dataclass(frozen=True, slots=True)
class Route:
    """From which version to which. Of a cluster between two versions, `origin` is the one to get away from."""

    origin: Version
    target: Version

    @property
    def command(self) -> str:
        """For the journal, from which `--back` reads it again."""
        return f"upgrade {self.origin} -> {self.target}"

    @property
    def is_back(self) -> bool:
        return self.target < self.origin

    @property
    def playbook(self) -> str:
        """The built-in playbook that goes this way."""
        return "downgrade" if self.is_back else "upgrade"


def route(there: skew.Installed, target: Version, known: Collection[Version]) -> Route:
    """The way from what is there. Raises InvalidInput when there is none, or none in one step."""
    low, high = skew.oldest(there), skew.newest(there)
    if low is None or high is None:
        raise InvalidInput("there is no Kubernetes on these hosts yet", hint="`kbootstrap up` installs it")
    # A minor goes back as a whole, whichever patches are there: nothing may be newer than an apiserver.
    origin = high if target <= low or target.minor < high.minor else low
    for end in (low, high):
        reason = skew.refusal(end, target, known)
        if reason is not None:
            raise InvalidInput(f"the cluster cannot go to {target}: {reason}")
    if not low <= target <= high and low.series != high.series:
        raise InvalidInput(
            f"an upgrade is under way: parts of the cluster run {low}, others {high}",
            hint=f"first finish it with `upgrade --to {high}`, or go back with `upgrade --to {low}`",
        )
    return Route(origin, target)


def before(there: skew.Installed, entries: Iterable[Entry]) -> Version:
    """The earlier version that the hosts' journals say came before. Raises InvalidInput when they say none.

    What went back, or only finished what was cut short, says nothing of it.
    """
    current = skew.newest(there)
    for entry in sorted(entries, key=lambda entry: entry.at, reverse=True):
        match = _COMMAND.fullmatch(entry.command)
        if match is not None and Version.parse(match[1]) < Version.parse(match[2]) == current:
            return Version.parse(match[1])
    raise InvalidInput(
        f"no run in the hosts' journals came to {current} from an earlier version",
        hint="name the version: `upgrade --to`",
    )


def require_installed_version(cluster: Cluster, seen: Mapping[str, Facts]) -> None:
    """`up` does not change the version of a cluster that is there. Raises PreflightFailed."""
    there = installed(seen)
    others = sorted({version for parts in there.values() for version in parts.values()} - {cluster.kubernetes})
    if not others:
        return
    where = ", ".join(
        f"{host} {part} {version}"
        for host, parts in there.items()
        for part, version in parts.items()
        if version != cluster.kubernetes
    )
    raise PreflightFailed(
        f"the inventory says Kubernetes {cluster.kubernetes}, and hosts use {', '.join(map(str, others))} ({where});"
        " nothing was changed",
        hint=f"`kbootstrap upgrade --to {cluster.kubernetes}` changes a cluster's version; to stay with the hosts',"
        " correct `kubernetes` in the inventory",
    )


def require_way_for_etcd(wanted: Version, seen: Mapping[str, Facts]) -> None:
    """etcd goes on by one minor at a time and never back: an earlier one does not read the data of a later.

    Source: etcd's documentation, "Upgrading" and "Downgrading". Patches may go either way. Raises PreflightFailed.
    """
    there = {host: facts[ETCD]["etcd"].linked for host, facts in seen.items() if "etcd" in facts[ETCD]}
    wrong = {
        host: version
        for host, version in there.items()
        if wanted.major != version.major or not 0 <= wanted.minor - version.minor <= 1
    }
    if wrong:
        where = ", ".join(f"{host} {version}" for host, version in wrong.items())
        raise PreflightFailed(
            f"etcd cannot go to {wanted} in one step ({where}); nothing was changed",
            hint="etcd goes on minor by minor, and never back by one: correct `artifacts.versions` in the inventory",
        )


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a rollout: which hosts get which parts in which phase, and what the skew then is."""

    phase: str
    hosts: tuple[str, ...]
    parts: tuple[str, ...]
    installed: skew.Installed
    violations: tuple[str, ...]


def stages(there: skew.Installed, batches: Iterable[tuple[Task, ...]], target: Version) -> list[Stage]:
    """What the versions are after every batch of a plan, in order."""
    found = []
    for batch in batches:
        moves = {task.host: parts for task in batch if (parts := _moved(task))}
        if not moves:
            continue
        for host, parts in moves.items():
            there = skew.changed(there, [host], parts, target)
        parts = tuple(part for part in skew.PARTS if any(part in moved for moved in moves.values()))
        found.append(Stage(batch[0].phase, tuple(moves), parts, there, tuple(skew.violations(there))))
    return found


def _moved(task: Task) -> tuple[str, ...]:
    """The parts whose `current` link a task changes."""
    paths = {path for change in task.changes for path in change.paths}
    return tuple(part for part in skew.PARTS if OPT / part / "current" in paths)
