"""A cluster's own secrets as its hosts hold them, and when each host's certificates expire."""

import base64
import binascii
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from cryptography import x509

from kbootstrap.facts.fact import Fact, Facts, Single
from kbootstrap.facts.paths import PathState
from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.pki.authority import Pki
from kbootstrap.pki.certificate import days_left
from kbootstrap.pki.pem import certificates
from kbootstrap.pki.recover import PKI_PATHS, Survey, recover_pki

REMAINS = (
    "/var/lib/etcd/member",
    "/var/lib/etcd/*/member",
    "/var/lib/kubelet/pki/*",
    "/etc/kubernetes/*.conf",
    "/etc/kubernetes/*.kubeconfig",
    "/etc/kubernetes/pki/apiserver*.crt",
    "/etc/kubernetes/pki/kubelet*.crt",
    "/etc/kubernetes/pki/etcd/server.crt",
    "/etc/kubernetes/pki/etcd/peer.crt",
)
"""Shell patterns of what only a host that has been part of a cluster has: all of it is made after the PKI."""

APPLICATIONS_FOLDER = "/etc/kbootstrap/edge"
"""Certificates that are not ours to issue."""
CERTIFICATE_FOLDERS = ("/etc/kubernetes", "/etc/etcd", "/var/lib/kubelet/pki", APPLICATIONS_FOLDER)


@dataclass(frozen=True, slots=True)
class ClusterRemains(Single[tuple[str, ...]]):
    """What shows that a host has been part of a cluster; `patterns` are of the shell."""

    patterns: tuple[str, ...] = REMAINS

    @property
    def command(self) -> str:
        return f'for f in {" ".join(self.patterns)}; do [ ! -e "$f" ] || printf "%s\\n" "$f"; done'

    def value(self, output: bytes) -> tuple[str, ...]:
        return tuple(output.decode(errors="replace").split())


def pki_facts(host: Host) -> tuple[Fact[Any], ...]:
    """What `gather_pki` must have of a host."""
    files = [PathState(path) for path in PKI_PATHS] if host.is_control_plane else []
    return (*files, ClusterRemains())


def gather_pki(cluster: Cluster, seen: Mapping[str, Facts], now: datetime) -> Pki | None:
    """The cluster's Pki from what was read (see `pki_facts`) of its hosts, by name.

    None when no host has any of it and there is no sign of a cluster: then, and only then, a new one may be made.
    A control-plane or etcd host that is not in `seen` counts as one that may have what the others lack. Raises
    PkiUnusable, naming hosts and files, when hosts disagree or something is missing that a cluster may need.
    """
    survey = Survey(
        files={
            host.name: {path: seen[host.name][PathState(path)].content for path in PKI_PATHS}
            for host in cluster.control_planes
            if host.name in seen
        },
        remains={name: found for name, facts in seen.items() if (found := facts[ClusterRemains()])},
        unread=tuple(
            host.name for host in cluster.hosts if (host.is_control_plane or host.is_etcd) and host.name not in seen
        ),
    )
    return recover_pki(survey, cluster.name, now, cluster.settings.certificates.authority_days)


@dataclass(frozen=True, slots=True)
class Expiry:
    """A certificate of a host. A file with several, or a kubeconfig, has one of these for each."""

    path: PurePosixPath
    subject: str
    not_after: datetime

    def days_left(self, now: datetime) -> int:
        """Whole days; negative when it has expired."""
        return days_left(self.not_after, now)


_PRINT_CERTIFICATES = r"""
FNR == 1 { print "file " FILENAME; inside = 0 }
/-----BEGIN / { inside = /-----BEGIN CERTIFICATE-----/ }
inside { print }
/-----END / { inside = 0 }
/^ *client-certificate-data: / { gsub(/"/, "", $2); print "data " $2 }
"""
"""awk: prints certificates and the names of their files, and no other line of them: keys stay on the host."""


@dataclass(frozen=True, slots=True)
class CertificateExpiry(Single[tuple[Expiry, ...]]):
    """Every certificate under `folders`, kubeconfigs included, the first to expire first."""

    folders: tuple[str, ...] = CERTIFICATE_FOLDERS

    @property
    def command(self) -> str:
        """What kubelet has rotated away (its dated files) is left out: only its `-current` link is in use."""
        return (
            f"find -L {' '.join(map(shlex.quote, self.folders))} -type f"
            r" \( -name '*.crt' -o -name '*.pem' -o -name '*.conf' -o -name '*kubeconfig' \)"
            " ! -name 'kubelet-*-20[0-9][0-9]-*'"
            f" -exec awk {shlex.quote(_PRINT_CERTIFICATES)} {{}} +"
        )

    def value(self, output: bytes) -> tuple[Expiry, ...]:
        found = [
            Expiry(path, certificate.subject.rfc4514_string(), certificate.not_valid_after_utc)
            for path, content in _contents(output)
            for certificate in _readable(content)
        ]
        return tuple(sorted(found, key=lambda expiry: (expiry.not_after, expiry.path)))


def _contents(output: bytes) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Each file's certificates, PEM, from what the awk program printed."""
    for part in re.split(rb"^file ", output, flags=re.MULTILINE)[1:]:
        name, *lines = part.splitlines()
        embedded = [_decoded(line.removeprefix(b"data ")) for line in lines if line.startswith(b"data ")]
        yield PurePosixPath(name.decode(errors="replace")), b"\n".join([*lines, *embedded])


def _readable(content: bytes) -> list[x509.Certificate]:
    """A broken one is nobody's to wait for: it is issued anew by the next run."""
    try:
        return list(certificates(content))
    except ValueError:
        return []


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text)
    except binascii.Error:
        return b""
