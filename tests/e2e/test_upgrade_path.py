"""The whole way through the versions, minor by minor and one patch: `make test-upgrades`, not part of `make test`.

Each version is minutes of building the first time.
"""

from ipaddress import IPv4Network

import pytest

from kbootstrap.lab.spec import standard
from tests.e2e.conftest import PREFIX, BedFactory
from tests.e2e.test_upgrade import PROBES, report, require_unnoticed, versions

PATH = ("1.35.8", "1.36.4", "1.37.0", "1.37.1")
SUBNET = IPv4Network("198.18.45.0/24")


@pytest.mark.long
def test_minor_by_minor(beds: BedFactory) -> None:
    bed = beds(standard(name=f"{PREFIX}path", subnet=SUBNET), {"cluster": {"kubernetes": PATH[0]}})
    bed.run("up").expect()
    bed.run("upgrade", "--to", PATH[2]).expect(3, f"{PATH[0]} -> {PATH[1]} -> {PATH[2]}")
    for version in PATH[1:]:
        done = bed.run("upgrade", "--to", version, *PROBES, "--report", str(bed.folder / f"{version}.html"))
        require_unnoticed(report(bed, done, version))
        done.expect(0, f"runs Kubernetes {version}")
        assert versions(bed) == {version}
        bed.require_converged()
    bed.run("verify").expect()
