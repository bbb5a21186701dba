"""An upgrade behind two load balancers: nobody notices, at the API or at an application's name."""

from ipaddress import IPv4Network

import pytest

from kbootstrap.lab.spec import standard
from tests.e2e.applications import PROBES as EDGE_PROBES
from tests.e2e.applications import application, deploy, in_inventory, outside_authority, renew
from tests.e2e.conftest import PREFIX, BedFactory
from tests.e2e.probe import probing
from tests.e2e.test_upgrade import NEWER, PROBES, report, require_unnoticed, versions

pytestmark = pytest.mark.long

SUBNET = IPv4Network("198.18.46.0/24")
VIP = str(SUBNET[100])


def test_an_upgrade_behind_load_balancers_goes_unnoticed(beds: BedFactory) -> None:
    lab = standard(name=f"{PREFIX}tier-up", subnet=SUBNET, control_planes=3, workers=2, load_balancers=2)
    outside = outside_authority()
    bed = beds(lab, {"applications": in_inventory()})
    renew(bed.folder, outside)
    bed.run("up").expect(0, "is ready")
    deploy(bed)
    with probing(application(outside, "shop", VIP)) as shop, probing(application(outside, "billing", VIP)) as billing:
        done = bed.run("upgrade", "--to", NEWER, *PROBES, "--report", str(bed.folder / "there.html"))
    require_unnoticed(report(bed, done, "there"), *EDGE_PROBES)
    done.expect(0, f"runs Kubernetes {NEWER}")
    for name, probe in (("shop", shop), ("billing", billing)):
        bed.note(f"{name}: {probe.summary(0)}")
        assert not probe.failures()
    assert versions(bed) == {NEWER}
    assert bed.plan() == {}
