"""What upgrades and boots want to know of a host: versions in use, deprecated requests, whether a boot is due."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from kbootstrap.facts import boot
from kbootstrap.facts.boot import BootState, RebootDue
from kbootstrap.facts.deprecations import DeprecatedRequest, DeprecatedRequests
from kbootstrap.facts.versions import InUse, VersionsInUse
from kbootstrap.model.versions import Version
from tests.local_host import read_here

METRICS = b"""\
apiserver_requested_deprecated_apis{group="",removed_release="",resource="componentstatuses",subresource="",\
version="v1"} 1
apiserver_requested_deprecated_apis{group="",removed_release="",resource="endpoints",subresource="",version="v1"} 1
apiserver_requested_deprecated_apis{group="flowcontrol.apiserver.k8s.io",removed_release="1.37",resource="flowschemas",\
subresource="status",version="v1beta3"} 1
apiserver_requested_deprecated_apis{group="flowcontrol.apiserver.k8s.io",removed_release="1.37",resource="flowschemas",\
subresource="",version="v1beta3"} 1
"""
"""The first two as an apiserver 1.36.4 printed them."""


def test_requests_for_what_is_going_to_be_removed() -> None:
    [found] = DeprecatedRequests("kubectl").value(METRICS)
    assert found == DeprecatedRequest("flowcontrol.apiserver.k8s.io", "v1beta3", "flowschemas", "1.37")
    assert str(found) == "flowschemas in flowcontrol.apiserver.k8s.io/v1beta3, gone in 1.37"
    assert str(DeprecatedRequest("", "v1", "bindings", "1.40")) == "bindings in v1, gone in 1.40"


@pytest.mark.parametrize("metrics", [b"", METRICS[: METRICS.index(b'apiserver_requested_deprecated_apis{group="flow')]])
def test_nobody_asks_for_it(metrics: bytes) -> None:
    assert DeprecatedRequests("kubectl").value(metrics) == ()


def test_only_our_metric_is_fetched(tmp_path: Path) -> None:
    metrics = tmp_path / "metrics"
    metrics.write_bytes(b"# HELP apiserver_requested_deprecated_apis Gauge\n" + METRICS + b'apiserver_other{a="b"} 2\n')
    fact = DeprecatedRequests(f"cat {metrics}; : ")
    assert len(read_here(fact)[fact]) == 1


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder as `/opt/kbootstrap`."""
    for program, version in (("kubelet", "1.37.1"), ("kube-proxy", "1.36.4"), ("kube-scheduler", "somebody-elses")):
        (tmp_path / program / version).mkdir(parents=True)
        (tmp_path / program / "current").symlink_to(version)
    return tmp_path


def test_versions_in_use(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """kubelet's link is at a new version already, and its old process runs on; kube-proxy does not run."""
    old = installed / "kubelet" / "1.36.4" / "kubelet"
    old.parent.mkdir()
    shutil.copy("/bin/sleep", old)
    systemctl = installed / "systemctl"
    monkeypatch.setenv("PATH", f"{installed}:{os.environ['PATH']}")
    fact = VersionsInUse(str(installed), ("kube-apiserver", "kube-scheduler", "kubelet", "kube-proxy"))
    with subprocess.Popen([old, "60"]) as process:
        systemctl.write_text(f'#!/bin/sh\ncase "$*" in *kubelet.service) echo {process.pid} ;; *) echo 0 ;; esac\n')
        systemctl.chmod(0o755)
        found = read_here(fact)[fact]
        old.unlink()
        assert read_here(fact)[fact] == found  # its program has been taken away: ` (deleted)`
        process.kill()
    assert found == {
        "kubelet": InUse(Version(1, 37, 1), Version(1, 36, 4)),
        "kube-proxy": InUse(Version(1, 36, 4), None),
    }


def test_a_host_with_nothing_of_ours(tmp_path: Path) -> None:
    fact = VersionsInUse(str(tmp_path), ("kubelet",))
    assert read_here(fact)[fact] == {}


@pytest.mark.parametrize(
    ("mark", "required", "state"),
    [
        (None, False, BootState("", required=False)),
        ("20261121-064233-ab12\n", False, BootState("20261121-064233-ab12", required=False)),
        (None, True, BootState("", required=True)),
        ("20261121-064233-ab12\n", True, BootState("20261121-064233-ab12", required=True)),
        ("required\n", False, BootState("required", required=False)),
    ],
)
def test_whether_a_boot_is_due(
    mark: str | None, required: bool, state: BootState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boot, "MARK", tmp_path / "mark")
    monkeypatch.setattr(boot, "REQUIRED", tmp_path / "required")
    if mark is not None:
        (tmp_path / "mark").write_text(mark)
    if required:
        (tmp_path / "required").touch()
    assert read_here(RebootDue())[RebootDue()] == state
