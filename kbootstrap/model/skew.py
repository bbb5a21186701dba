"""Which versions may meet which, and which way leads from one to another.

Source: the Kubernetes version skew policy (kubernetes.io/releases/version-skew-policy).
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from kbootstrap.model.versions import Version

APISERVER: Final = "kube-apiserver"
CONTROLLERS: Final = ("kube-controller-manager", "kube-scheduler")
NODE_PARTS: Final = ("kubelet", "kube-proxy")
PARTS: Final = (APISERVER, *CONTROLLERS, *NODE_PARTS)

CONTROLLERS_BEHIND = 1
"""Minors that a controller-manager or scheduler may be older than any apiserver it talks to."""
NODE_PARTS_BEHIND = 3
"""Minors that a kubelet or kube-proxy may be older than any apiserver it talks to."""
APISERVERS_APART = 1
"""Minors that apiservers of one cluster may be apart."""

Installed = Mapping[str, Mapping[str, Version]]
"""The version of each part on each host, by host and part."""


def violations(installed: Installed) -> list[str]:
    """What the policy forbids about these versions together. Any part may talk to any apiserver."""
    minors = [parts[APISERVER].minor for parts in installed.values() if APISERVER in parts]
    if not minors:
        return []
    oldest, newest = min(minors), max(minors)
    found = []
    if newest - oldest > APISERVERS_APART:
        found.append(f"apiservers are {newest - oldest} minors apart")
    for host, parts in installed.items():
        for names, behind in ((CONTROLLERS, CONTROLLERS_BEHIND), (NODE_PARTS, NODE_PARTS_BEHIND)):
            for name in names:
                if name in parts:
                    found += _against(f"{name} {parts[name]} on {host}", parts[name].minor, oldest, newest, behind)
    return found


def _against(what: str, minor: int, oldest: int, newest: int, behind: int) -> list[str]:
    if minor > oldest:
        return [f"{what} is newer than an apiserver of the minor {oldest}"]
    if newest - minor > behind:
        return [f"{what} is more than {behind} minor{'s' if behind > 1 else ''} older than an apiserver"]
    return []


def changed(installed: Installed, hosts: Iterable[str], parts: Collection[str], version: Version) -> Installed:
    """The same, with these parts of these hosts at another version."""
    after = {host: dict(found) for host, found in installed.items()}
    for host in hosts:
        after.setdefault(host, {}).update({part: version for part in parts if part in PARTS})
    return after


def oldest(installed: Installed) -> Version | None:
    """The oldest version of any part; None when nothing is installed."""
    return min((version for parts in installed.values() for version in parts.values()), default=None)


def newest(installed: Installed) -> Version | None:
    """The newest version of any part; None when nothing is installed."""
    return max((version for parts in installed.values() for version in parts.values()), default=None)


def refusal(current: Version, target: Version, known: Collection[Version]) -> str | None:
    """Why a cluster cannot go from one version to another in one step; None when it can.

    `known` are the versions to suggest on the way; of a minor that is not among them, the way says `1.37.x`.
    """
    if target.major != current.major:
        return f"Kubernetes {current} and {target} have nothing to do with each other"
    if target.minor > current.minor + 1:
        newest_of = {version.series: version for version in sorted(known)}
        series = (f"{current.major}.{minor}" for minor in range(current.minor + 1, target.minor))
        way = " -> ".join(
            str(stop) for stop in (current, *(newest_of.get(each, f"{each}.x") for each in series), target)
        )
        return f"no minor may be skipped between {current} and {target}: go {way}, one after another"
    if target.minor < current.minor - 1:
        return f"{target} is more than one minor older than {current}: what is stored may not be readable to it"
    return None
