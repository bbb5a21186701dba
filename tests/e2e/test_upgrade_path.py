"""The whole way through the versions, minor by minor and one patch: `make test-upgrades`, not part of `make test`.

Each version is minutes of building the first time.
"""

from ipaddress import IPv4Network

import pytest

from kbootstrap.lab.spec import standard
from tests.e2e.bed import Bed
from tests.e2e.conftest import PREFIX, BedFactory
from tests.e2e.test_upgrade import PROBES, report, require_unnoticed, versions

PATH = ("1.35.8", "1.36.4", "1.37.0", "1.37.1")
SUBNET = IPv4Network("198.18.45.0/24")
UNFIT = 5

BUILD_SECONDS = 1800
"""For the first `up`, which builds what `OTHERS` names when it is not in the cache."""


OTHERS = {"etcd": "3.6.15", "containerd": "2.3.6"}
"""Earlier ones than belong to any version of `PATH`: the first upgrade brings them along."""


@pytest.mark.long
def test_minor_by_minor_and_back(beds: BedFactory) -> None:
    bed = beds(standard(name=f"{PREFIX}path", subnet=SUBNET), {"cluster": {"kubernetes": PATH[0]}})
    bed.write({"artifacts": {"versions": OTHERS}})
    bed.run("up", timeout=BUILD_SECONDS).expect()
    assert linked(bed) == {tuple(OTHERS.values())}
    bed.run("upgrade", "--to", PATH[2]).expect(3, f"{PATH[0]} -> {PATH[1]} -> {PATH[2]}")
    bed.write({})
    for version in PATH[1:]:
        unnoticed(bed, version, "--to", version)
    assert linked(bed).isdisjoint({tuple(OTHERS.values())})
    unnoticed(bed, PATH[2], "--back")
    bed.run("verify").expect()
    bed.write({"cluster": {"kubernetes": PATH[2]}, "artifacts": {"versions": {"etcd": "3.5.21"}}})
    bed.run("up").expect(UNFIT, "etcd cannot go to 3.5.21")


def unnoticed(bed: Bed, version: str, *way: str) -> None:
    """An upgrade to `version` that no client feels, and after which nothing is left to do."""
    name = "-".join((version, *way)).replace("--", "")
    done = bed.run("upgrade", *way, *PROBES, "--report", str(bed.folder / f"{name}.html"))
    require_unnoticed(report(bed, done, name))
    done.expect(0, f"runs Kubernetes {version}")
    assert versions(bed) == {version}
    bed.require_converged()


def linked(bed: Bed) -> set[tuple[str, ...]]:
    """The versions of etcd and containerd that the control-plane hosts use."""
    command = "; ".join(f"basename $(readlink /opt/kbootstrap/{part}/current)" for part in OTHERS)
    return {tuple(bed.ssh(host, command).split()) for host in bed.control_planes}
