import grp
import os
import pwd
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from kbootstrap.facts.fact import Fact, Facts
from kbootstrap.facts.paths import ABSENT, PathStat, PathState
from kbootstrap.pki.certificate import inspect
from kbootstrap.pki.issue import create_authority
from kbootstrap.pki.kubeconfig import embedded
from kbootstrap.pki.spec import CertificateSpec
from kbootstrap.steps.certificate import Certificate
from kbootstrap.steps.kubeconfig import Kubeconfig
from kbootstrap.steps.step import Change, Step

NOW = datetime(2026, 8, 1, 12, tzinfo=UTC)
CA = create_authority("kubernetes-ca", "demo", NOW, 3650)
OWNER = pwd.getpwuid(os.getuid()).pw_name
GROUP = grp.getgrgid(os.getgid()).gr_name


def certificate(folder: Path, **changes: object) -> Certificate:
    step = Certificate(
        cert_path=PurePosixPath(folder / "pki/server.crt"),
        key_path=PurePosixPath(folder / "pki/server.key"),
        authority=CA,
        spec=CertificateSpec("web", ("team",), ("web.local",), (IPv4Address("10.0.0.1"),), server=True),
        days=365,
        renew_before_days=60,
        now=NOW,
        owner=OWNER,
        group=GROUP,
    )
    return replace(step, **changes)  # type: ignore[arg-type]


def kubeconfig(folder: Path, **changes: object) -> Kubeconfig:
    step = Kubeconfig(
        path=PurePosixPath(folder / "admin.conf"),
        server_url="https://10.0.0.1:6443",
        cluster_name="demo",
        user="system:node:cp1",
        authority=CA,
        spec=CertificateSpec("system:node:cp1", ("system:nodes",), client=True),
        days=365,
        renew_before_days=60,
        now=NOW,
        owner=OWNER,
        group=GROUP,
    )
    return replace(step, **changes)  # type: ignore[arg-type]


def stat_of(path: PurePosixPath) -> PathStat:
    file = Path(path)
    if not file.exists():
        return ABSENT
    return PathStat("file", file.stat().st_mode & 0o7777, file.owner(), file.group(), file.read_bytes())


def diff(step: Step) -> Change | None:
    """What is due on this machine."""
    seen: dict[Fact[Any], object] = {fact: stat_of(fact.path) for fact in step.needs() if isinstance(fact, PathState)}
    return step.diff(Facts(seen), frozenset())


def apply(step: Step) -> Change:
    change = diff(step)
    assert change is not None
    run(change.script)
    return change


def run(script: str) -> None:
    subprocess.run(["sh", "-eu"], input=script.encode(), check=True)


def test_certificate_is_issued_once(tmp_path: Path) -> None:
    step = certificate(tmp_path)
    change = apply(step)
    assert change.paths == {step.cert_path, step.key_path}
    assert "there is no certificate" in change.diff
    assert "web.local 10.0.0.1" in change.diff
    assert "valid until 2027-08-01" in change.diff
    assert inspect(Path(step.cert_path).read_bytes()).spec == step.spec
    assert stat_of(step.key_path).mode == 0o600
    assert stat_of(step.cert_path).mode == 0o644
    assert diff(step) is None


def test_diff_and_title_hold_no_key(tmp_path: Path) -> None:
    for step in (certificate(tmp_path), kubeconfig(tmp_path)):
        change = diff(step)
        assert change is not None
        assert "PRIVATE KEY" not in change.diff + change.title
        assert "client-key-data" not in change.diff


def test_killed_after_the_key_issues_again(tmp_path: Path) -> None:
    step = certificate(tmp_path)
    apply(step)
    again = diff(certificate(tmp_path, now=NOW + timedelta(days=330)))
    assert again is not None
    cut = again.script.index("base64 -d", again.script.index("base64 -d") + 1)
    run(again.script[:cut])
    change = apply(step)
    assert "the key belongs to another certificate" in change.diff
    assert diff(step) is None


@pytest.mark.parametrize("name", ["cert_path", "key_path"])
def test_permissions_are_repaired_without_issuing(tmp_path: Path, name: str) -> None:
    step = certificate(tmp_path)
    apply(step)
    before = Path(step.cert_path).read_bytes(), Path(step.key_path).read_bytes()
    Path(getattr(step, name)).chmod(0o640)
    change = apply(step)
    assert change.title.startswith("set permissions")
    assert not change.paths
    assert (Path(step.cert_path).read_bytes(), Path(step.key_path).read_bytes()) == before
    assert diff(step) is None


def test_chain_is_appended_and_restored(tmp_path: Path) -> None:
    apply(certificate(tmp_path))
    step = certificate(tmp_path, chain=True)
    assert "does not follow" in apply(step).diff
    assert Path(step.cert_path).read_bytes().endswith(CA.certificate)
    assert diff(step) is None


def test_renewal_near_the_end(tmp_path: Path) -> None:
    apply(certificate(tmp_path))
    assert diff(certificate(tmp_path, now=NOW + timedelta(days=300))) is None
    late = certificate(tmp_path, now=NOW + timedelta(days=310))
    assert "it has 55 days left" in apply(late).diff
    assert diff(late) is None


def test_equal_plans_have_equal_fingerprints(tmp_path: Path) -> None:
    for step in (certificate(tmp_path), kubeconfig(tmp_path)):
        first, second = diff(step), diff(step)
        assert first is not None
        assert second is not None
        assert first.script != second.script
        assert first.fingerprint == second.fingerprint
    other = diff(certificate(tmp_path, spec=CertificateSpec("other")))
    same = diff(certificate(tmp_path))
    assert other is not None
    assert same is not None
    assert other.fingerprint != same.fingerprint


def test_kubeconfig_is_written_once(tmp_path: Path) -> None:
    step = kubeconfig(tmp_path)
    apply(step)
    assert stat_of(step.path).mode == 0o600
    assert inspect(embedded(Path(step.path).read_bytes()).certificate).spec == step.spec
    assert diff(step) is None


def test_another_server_keeps_the_credentials(tmp_path: Path) -> None:
    step = kubeconfig(tmp_path)
    apply(step)
    before = embedded(Path(step.path).read_bytes())
    moved = kubeconfig(tmp_path, server_url="https://10.0.0.9:6443")
    change = apply(moved)
    assert "server: https://10.0.0.1:6443 -> https://10.0.0.9:6443" in change.diff
    after = embedded(Path(step.path).read_bytes())
    assert after == replace(before, server="https://10.0.0.9:6443")
    assert diff(moved) is None


def test_kubeconfig_mode_is_repaired(tmp_path: Path) -> None:
    step = kubeconfig(tmp_path)
    apply(step)
    before = Path(step.path).read_bytes()
    Path(step.path).chmod(0o644)
    apply(step)
    assert Path(step.path).read_bytes() == before
    assert stat_of(step.path).mode == 0o600


def test_damaged_kubeconfig_and_other_names_are_issued_anew(tmp_path: Path) -> None:
    step = kubeconfig(tmp_path)
    apply(step)
    Path(step.path).write_bytes(Path(step.path).read_bytes()[:900])
    assert "issue" in apply(step).title
    renamed = kubeconfig(tmp_path, spec=CertificateSpec("admin", ("system:masters",), client=True))
    assert "not for admin" in apply(renamed).diff
    other = kubeconfig(tmp_path, authority=create_authority("kubernetes-ca", "demo", NOW, 3650))
    assert "another authority" in apply(other).diff
    assert diff(other) is None
