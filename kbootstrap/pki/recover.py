"""A cluster's own secrets, read back from its hosts.

The rule: what a host has is never replaced by something new. Where hosts contradict each other, or where something
is missing everywhere although a cluster may exist, that is an error; only what a first run that died half-way did
not get to is made.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath

from kbootstrap.errors import PkiUnusable, Problem
from kbootstrap.pki import paths
from kbootstrap.pki.authority import Authority, KeyPair, Pki
from kbootstrap.pki.create import (
    ETCD_CA,
    FRONT_PROXY_CA,
    KUBERNETES_CA,
    create_encryption_key,
    create_key_pair,
)
from kbootstrap.pki.encryption import encryption_keys
from kbootstrap.pki.identity import identity, public_half
from kbootstrap.pki.issue import create_authority
from kbootstrap.pki.keys import public_of

PAIRS = (
    (paths.CA_CERTIFICATE, paths.CA_KEY),
    (paths.ETCD_CA_CERTIFICATE, paths.ETCD_CA_KEY),
    (paths.FRONT_PROXY_CA_CERTIFICATE, paths.FRONT_PROXY_CA_KEY),
    (paths.SERVICE_ACCOUNT_PUBLIC, paths.SERVICE_ACCOUNT_PRIVATE),
)
"""What is public, and the private key that belongs to it."""

PKI_PATHS = (*(path for pair in PAIRS for path in pair), paths.ENCRYPTION_CONFIG)
"""All that a control-plane host has of it."""

Files = dict[PurePosixPath, bytes]


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found on the hosts."""

    files: Mapping[str, Mapping[PurePosixPath, bytes]] = field(repr=False)
    """By control-plane host: the content of those of PKI_PATHS that it has."""
    remains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By host: what shows that it has been part of a cluster, e.g. etcd's data."""
    unread: tuple[str, ...] = ()
    """Hosts that may have some of it, or remains, and could not be asked."""


def recover_pki(survey: Survey, cluster_name: str, now: datetime, days: int) -> Pki | None:
    """The one Pki that agrees with everything on the hosts; None when there is none and no cluster either.

    Raises PkiUnusable, with every reason, when there is no such Pki or a cluster may exist that needs what is
    missing. `days` is for authorities whose making a first run did not finish.
    """
    found, problems = _agreed(survey.files)
    problems += _unpaired(found, {problem.file for problem in problems})
    if problems:
        raise PkiUnusable("the cluster's own certificates and keys do not fit together", problems)
    missing = [path for path in PKI_PATHS if path not in found and not _derivable(path, found)]
    if missing:
        _require_no_cluster(survey, missing)
    return _completed(found, cluster_name, now, days) if found else None


def _agreed(files: Mapping[str, Mapping[PurePosixPath, bytes]]) -> tuple[Files, list[Problem]]:
    """The files that at least one host has and no other contradicts. A damaged copy gives way to a sound one."""
    found: Files = {}
    problems = []
    for path in PKI_PATHS:
        holders: dict[str, list[str]] = defaultdict(list)
        damaged: list[str] = []
        for host in sorted(files):
            content = files[host].get(path, b"")
            if not content.strip():
                continue  # a power cut can leave an empty file: as good as none
            try:
                holders[identity(path, content)].append(host)
            except ValueError as error:
                damaged.append(f"{host}: {error}")
        if len(holders) > 1:
            problems.append(_contradiction(path, holders))
        elif holders:
            (hosts,) = holders.values()
            found[path] = files[hosts[0]][path]
        elif damaged:
            problems.append(_damage(path, damaged))
    return found, problems


def _contradiction(path: PurePosixPath, holders: Mapping[str, list[str]]) -> Problem:
    versions = "; ".join(f"{', '.join(hosts)}: {name}" for name, hosts in holders.items())
    return Problem(
        f"hosts have different versions ({versions})",
        file=str(path),
        hint="keep the one that the running cluster uses and remove the file from the other hosts; a host that comes "
        "from another cluster must be reset before it joins this one",
    )


def _damage(path: PurePosixPath, damaged: list[str]) -> Problem:
    return Problem(
        f"no host has a copy that can be read ({'; '.join(damaged)})",
        file=str(path),
        hint="bring the file back from a backup; if there never was a cluster, remove it",
    )


def _unpaired(found: Files, known: set[str | None]) -> list[Problem]:
    """Public halves without their private key; `known` are the files that have a problem already."""
    problems = []
    for public, private in PAIRS:
        if public not in found or str(private) in known:
            continue
        if private not in found:
            problems.append(
                Problem(
                    f"there is {public}, but its key is on no control-plane host",
                    file=str(private),
                    hint="bring the key back from a backup; if there never was a cluster, remove the public file",
                )
            )
        elif public_half(found[public]) != public_of(found[private]):
            problems.append(
                Problem(
                    f"it is not the key of {public}",
                    file=str(private),
                    hint="the two come from different clusters: bring the right ones back from a backup",
                )
            )
    return problems


def _derivable(path: PurePosixPath, found: Files) -> bool:
    """A certificate cannot be derived from its key, a public key can."""
    return path == paths.SERVICE_ACCOUNT_PUBLIC and paths.SERVICE_ACCOUNT_PRIVATE in found


def _require_no_cluster(survey: Survey, missing: list[PurePosixPath]) -> None:
    """Raises unless it is certain that nobody needs what is missing."""
    if survey.unread:
        raise PkiUnusable(
            f"{', '.join(survey.unread)} could not be asked, and no other host has all of the cluster's own keys",
            [Problem("is on none of the hosts that were asked", file=str(path)) for path in missing],
            hint="bring these hosts back, or restore the keys from a backup",
        )
    if survey.remains:
        where = "; ".join(f"{host}: {', '.join(found)}" for host, found in sorted(survey.remains.items()))
        raise PkiUnusable(
            f"there are remains of a cluster ({where}), but no control-plane host has all of its keys",
            [Problem("is on no control-plane host", file=str(path)) for path in missing],
            hint="restore the keys from a backup; to give that cluster up, run `kbootstrap reset` on these hosts first",
        )


def _completed(found: Files, cluster_name: str, now: datetime, days: int) -> Pki:
    def authority(certificate: PurePosixPath, key: PurePosixPath, common_name: str) -> Authority:
        if certificate in found:
            return Authority(found[certificate], found[key])
        return create_authority(common_name, cluster_name, now, days, found.get(key))

    keys = (
        encryption_keys(found[paths.ENCRYPTION_CONFIG])
        if paths.ENCRYPTION_CONFIG in found
        else (create_encryption_key(),)
    )
    return Pki(
        kubernetes=authority(paths.CA_CERTIFICATE, paths.CA_KEY, KUBERNETES_CA),
        etcd=authority(paths.ETCD_CA_CERTIFICATE, paths.ETCD_CA_KEY, ETCD_CA),
        front_proxy=authority(paths.FRONT_PROXY_CA_CERTIFICATE, paths.FRONT_PROXY_CA_KEY, FRONT_PROXY_CA),
        service_account=_service_account(found),
        encryption_key=keys[0],
        older_encryption_keys=keys[1:],
    )


def _service_account(found: Files) -> KeyPair:
    private = found.get(paths.SERVICE_ACCOUNT_PRIVATE)
    if private is None:
        return create_key_pair()
    return KeyPair(found.get(paths.SERVICE_ACCOUNT_PUBLIC) or public_of(private), private)
