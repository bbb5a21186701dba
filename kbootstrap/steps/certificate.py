"""A certificate and its key."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from kbootstrap.facts.fact import Fact, Facts
from kbootstrap.facts.paths import PathStat, PathState
from kbootstrap.pki.authority import Authority
from kbootstrap.pki.certificate import defects, inspect, usages_text
from kbootstrap.pki.issue import issue
from kbootstrap.pki.spec import CertificateSpec
from kbootstrap.steps.step import Change, Paths, fingerprint, quote, write_file

CERTIFICATE_MODE = 0o644
KEY_MODE = 0o600


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that says what `spec` says, signed by `authority` and good for a while, and its private key.

    It is issued anew, with a new key, when fewer than `renew_before_days` are left or anything in it is not as it
    should be; wrong owners and modes are put right without that. The key is written first: a run that died before
    the certificate followed leaves two that do not match, and the next run issues again.
    """

    cert_path: PurePosixPath
    key_path: PurePosixPath
    authority: Authority
    spec: CertificateSpec
    days: int
    renew_before_days: int
    now: datetime
    owner: str = "root"
    group: str = "root"
    chain: bool = False
    """Whether the authority's certificate follows in the file, for servers whose clients do not have it."""

    def needs(self) -> Sequence[Fact[Any]]:
        return (PathState(self.cert_path), PathState(self.key_path))

    def diff(self, seen: Facts, touched: Paths) -> Change | None:
        certificate, key = seen[PathState(self.cert_path)], seen[PathState(self.key_path)]
        reasons = self._reasons(certificate, key)
        return self._issued(reasons) if reasons else self._permissions_set(certificate, key)

    def _reasons(self, certificate: PathStat, key: PathStat) -> tuple[str, ...]:
        found = defects(
            self.spec,
            certificate.content,
            key.content,
            self.authority,
            self.now,
            timedelta(days=self.renew_before_days),
        )
        if not found and self.chain and not certificate.content.endswith(self.authority.certificate):
            return ("the authority's certificate does not follow it",)
        return found

    def _issued(self, reasons: tuple[str, ...]) -> Change:
        certificate, key = issue(self.authority, self.spec, self.now, self.days)
        content = certificate + self.authority.certificate if self.chain else certificate
        return Change(
            title=f"issue certificate {self.cert_path}",
            script="\n".join(
                (
                    write_file(self.key_path, key, KEY_MODE, self.owner, self.group),
                    write_file(self.cert_path, content, CERTIFICATE_MODE, self.owner, self.group),
                )
            ),
            fingerprint=self._fingerprint("issue"),
            diff=issue_text(reasons, certificate),
            paths=frozenset({self.cert_path, self.key_path}),
        )

    def _permissions_set(self, certificate: PathStat, key: PathStat) -> Change | None:
        """No `paths`: what the files say has not changed, so nothing needs to restart."""
        files = ((self.cert_path, certificate, CERTIFICATE_MODE), (self.key_path, key, KEY_MODE))
        wrong = [
            (path, stat, mode)
            for path, stat, mode in files
            if (stat.mode, stat.owner, stat.group) != (mode, self.owner, self.group)
        ]
        if not wrong:
            return None
        owner = f"{self.owner}:{self.group}"
        return Change(
            title=f"set permissions of certificate {self.cert_path}",
            script="\n".join(
                f"chown {quote(owner)} {quote(path)}\nchmod {mode:04o} {quote(path)}" for path, _, mode in wrong
            ),
            fingerprint=self._fingerprint("permissions"),
            diff="\n".join(
                f"{path}: {stat.owner}:{stat.group} {stat.mode:04o} -> {owner} {mode:04o}" for path, stat, mode in wrong
            ),
        )

    def _fingerprint(self, action: str) -> str:
        return fingerprint(
            "certificate",
            action,
            self.cert_path,
            self.key_path,
            self.spec,
            self.days,
            self.owner,
            self.group,
            self.chain,
        )


def issue_text(reasons: Sequence[str], certificate: bytes) -> str:
    """Why a certificate is issued, and what it will say."""
    said = inspect(certificate)
    names = [str(name) for name in (*said.spec.names, *said.spec.addresses)]
    groups = f" ({', '.join(said.spec.organizations)})" if said.spec.organizations else ""
    lines = [
        *reasons,
        f"for {said.spec.common_name}{groups}, {usages_text(said.spec)}",
        *([f"names: {' '.join(names)}"] if names else []),
        f"valid until {said.not_after:%Y-%m-%d}",
    ]
    return "\n".join(lines)
