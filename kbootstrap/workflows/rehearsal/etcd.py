"""A backup's database, as etcdutl sees it and as a member of its own that nobody else can talk to."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

from kbootstrap.errors import CommandFailed
from kbootstrap.pki.authority import Pki
from kbootstrap.pki.issue import issue
from kbootstrap.pki.spec import CertificateSpec
from kbootstrap.workflows.rehearsal.scratch import LOOPBACK, Place, wait
from kbootstrap.workflows.restore.faults import BackupDamaged, Unproven
from kbootstrap.workflows.restore.manifest import Manifest

NAME = "rehearsal"
CERTIFICATE_DAYS = 1
QUOTA_BYTES = 16 * 2**30
"""Twice the largest that etcd recommends: a database that was full must start."""

READ_SECONDS = 300.0
START_SECONDS = 120.0
COMMAND_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs of the backup's versions."""

    etcd: Path
    etcdctl: Path
    etcdutl: Path
    apiserver: Path

    def at(self, place: Place) -> "Programs":
        """The same, where the place finds them."""
        return Programs(*(place.bring(file) for file in (self.etcd, self.etcdctl, self.etcdutl, self.apiserver)))


def require_snapshot(scratch: Place, etcdutl: Path, database: Path, manifest: Manifest) -> None:
    """The snapshot is the one that the manifest was written for. Raises BackupDamaged."""
    try:
        said = scratch.run((etcdutl, "snapshot", "status", database, "--write-out=json"), seconds=READ_SECONDS)
    except CommandFailed as error:
        raise BackupDamaged("etcd cannot read the snapshot", output=error.output) from error
    status = json.loads(said)
    wanted = {"revision": manifest.revision, "totalKey": manifest.keys, "hash": manifest.hash}
    _require_same("the snapshot", wanted, {name: status.get(name) for name in wanted}, BackupDamaged)


def _require_same(
    what: str, wanted: Mapping[str, object], found: Mapping[str, object], kind: type[BackupDamaged] | type[Unproven]
) -> None:
    others = [f"{name} is {found[name]}, not {value}" for name, value in wanted.items() if found[name] != value]
    if others:
        raise kind(f"{what} is not what the manifest says: {', '.join(others)}")


@dataclass(frozen=True, slots=True)
class Member:
    """A member that runs in the scratch place. Only holders of a certificate of the backup's etcd CA may ask it."""

    url: str
    authority: Path
    certificate: Path
    key: Path
    etcdctl: Path

    def ask(self, scratch: Place, *words: str) -> str:
        """What etcdctl answers. Raises CommandFailed."""
        environment = {
            "ETCDCTL_ENDPOINTS": self.url,
            "ETCDCTL_CACERT": str(self.authority),
            "ETCDCTL_CERT": str(self.certificate),
            "ETCDCTL_KEY": str(self.key),
        }
        return scratch.run(
            (self.etcdctl, f"--command-timeout={COMMAND_SECONDS:.0f}s", *words, "--write-out=json"),
            seconds=COMMAND_SECONDS * 2,
            environment=environment,
        )


def start_member(scratch: Place, programs: Programs, database: Path, manifest: Manifest, pki: Pki) -> Member:
    """Restores the snapshot and starts etcd on it. Raises Unproven."""
    client, peer = (f"https://{LOOPBACK}:{port}" for port in scratch.ports(2))
    member = _credentials(scratch, pki, client, programs.etcdctl)
    cluster = (f"--name={NAME}", f"--initial-cluster={NAME}={peer}", f"--initial-advertise-peer-urls={peer}")
    data = scratch.path("data")
    try:
        scratch.run(
            (programs.etcdutl, "snapshot", "restore", database, f"--data-dir={data}", *cluster,
             f"--initial-cluster-token={manifest.id}-{NAME}"),
            seconds=READ_SECONDS,
        )  # fmt: skip
    except CommandFailed as error:
        raise Unproven("etcdutl cannot restore the snapshot", output=error.output) from error
    arguments = {
        "data-dir": data,
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "cert-file": member.certificate,
        "key-file": member.key,
        "trusted-ca-file": member.authority,
        "client-cert-auth": "true",
        "peer-cert-file": member.certificate,
        "peer-key-file": member.key,
        "peer-trusted-ca-file": member.authority,
        "peer-client-cert-auth": "true",
        "quota-backend-bytes": QUOTA_BYTES,
        "unsafe-no-fsync": "true",  # nothing of it is kept
        "log-level": "warn",
    }
    scratch.start("etcd", (programs.etcd, *cluster, *(f"--{name}={value}" for name, value in arguments.items())))
    wait(scratch, "etcd", lambda: _answers(scratch, member), seconds=START_SECONDS)
    return member


def _credentials(scratch: Place, pki: Pki, url: str, etcdctl: Path) -> Member:
    spec = CertificateSpec(NAME, addresses=(IPv4Address(LOOPBACK),), server=True, client=True)
    certificate, key = issue(pki.etcd, spec, datetime.now(UTC), CERTIFICATE_DAYS)
    return Member(
        url=url,
        authority=scratch.write("etcd-ca.crt", pki.etcd.certificate),
        certificate=scratch.write("etcd.crt", certificate),
        key=scratch.write("etcd.key", key),
        etcdctl=etcdctl,
    )


def _answers(scratch: Place, member: Member) -> bool:
    try:
        return bool(member.ask(scratch, "endpoint", "health"))
    except CommandFailed:
        return False


@dataclass(frozen=True, slots=True)
class Contents:
    """What a restored member has."""

    revision: int
    keys: int
    """Those that are alive; the manifest counts their earlier revisions too."""
    hash_compared: bool


def require_contents(scratch: Place, member: Member, manifest: Manifest) -> Contents:
    """The revision, and etcd's hash of all keys as the members of the cluster gave it. Raises Unproven."""
    revision = json.loads(member.ask(scratch, "endpoint", "status"))[0]["Status"]["header"]["revision"]
    _require_same("the restored data", {"revision": manifest.revision}, {"revision": revision}, Unproven)
    keys = json.loads(member.ask(scratch, "get", "", "--from-key", "--keys-only", "--limit=1")).get("count", 0)
    return Contents(revision, keys, _hash_agrees(scratch, member, manifest))


def _hash_agrees(scratch: Place, member: Member, manifest: Manifest) -> bool:
    """Whether the hashes could be compared: not if the cluster compacted between the snapshot and its hash."""
    told = manifest.hashkv
    if told is None or told.revision > manifest.revision:
        return False
    answer = json.loads(member.ask(scratch, "endpoint", "hashkv", f"--rev={told.revision}"))[0]["HashKV"]
    if told.compact_revision is None or answer.get("compact_revision", 0) != told.compact_revision:
        return False
    _require_same("the restored data", {"hash": told.hash}, {"hash": answer.get("hash")}, Unproven)
    return True
