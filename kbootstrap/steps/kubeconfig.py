"""A kubeconfig with its own client certificate."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from kbootstrap.facts.fact import Fact, Facts
from kbootstrap.facts.paths import PathState
from kbootstrap.pki.authority import Authority
from kbootstrap.pki.certificate import defects
from kbootstrap.pki.issue import issue
from kbootstrap.pki.kubeconfig import Credentials, embedded, kubeconfig_text
from kbootstrap.pki.spec import CertificateSpec
from kbootstrap.steps.certificate import issue_text
from kbootstrap.steps.file import File
from kbootstrap.steps.step import Change, Paths, fingerprint, write_file

MODE = 0o600


@dataclass(frozen=True, slots=True)
class Kubeconfig:
    """A kubeconfig that embeds the authority, a client certificate that says what `spec` says, and its key.

    The certificate and key that it has are kept while they are good, so that a change of server is only that.
    """

    path: PurePosixPath
    server_url: str
    cluster_name: str
    user: str
    authority: Authority
    spec: CertificateSpec
    days: int
    renew_before_days: int
    now: datetime
    owner: str = "root"
    group: str = "root"
    mode: int = MODE

    def needs(self) -> Sequence[Fact[Any]]:
        return (PathState(self.path),)

    def diff(self, seen: Facts, touched: Paths) -> Change | None:
        stat = seen[PathState(self.path)]
        has = embedded(stat.content)
        reasons = defects(
            self.spec,
            has.certificate,
            has.key,
            self.authority,
            self.now,
            timedelta(days=self.renew_before_days),
        )
        if reasons:
            return self._issued(reasons)
        kept = File(
            self.path,
            self._text(has.certificate, has.key),
            self.mode,
            self.owner,
            self.group,
            secret=True,
        ).diff(seen, touched)
        return None if kept is None else self._rewritten(kept, has)

    def _issued(self, reasons: tuple[str, ...]) -> Change:
        certificate, key = issue(self.authority, self.spec, self.now, self.days)
        return Change(
            title=f"issue kubeconfig {self.path}",
            script=write_file(self.path, self._text(certificate, key), self.mode, self.owner, self.group),
            fingerprint=self._fingerprint("issue"),
            diff="\n".join((issue_text(reasons, certificate), f"server: {self.server_url}")),
            paths=frozenset({self.path}),
        )

    def _rewritten(self, change: Change, has: Credentials) -> Change:
        """`change` with what is different instead of a mask."""
        lines = []
        if has.server != self.server_url:
            lines.append(f"server: {has.server} -> {self.server_url}")
        if has.authority != self.authority.certificate:
            lines.append("the authority's certificate is another one")
        return Change(
            title=change.title,
            script=change.script,
            fingerprint=self._fingerprint("write"),
            diff="\n".join((change.diff, *lines)),
            paths=change.paths,
        )

    def _text(self, certificate: bytes, key: bytes) -> bytes:
        return kubeconfig_text(
            server_url=self.server_url,
            cluster_name=self.cluster_name,
            user=self.user,
            authority=self.authority.certificate,
            certificate=certificate,
            key=key,
        ).encode()

    def _fingerprint(self, action: str) -> str:
        return fingerprint(
            "kubeconfig",
            action,
            self.path,
            self.server_url,
            self.cluster_name,
            self.user,
            self.spec,
            self.days,
            self.owner,
            self.group,
            self.mode,
        )
