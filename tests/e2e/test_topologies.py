"""etcd on five hosts of its own comes up from bare hosts, works, and then has nothing to do.

The other topologies come up in test_kill.py, where a run is killed meanwhile.
"""

from ipaddress import IPv4Network

from tests.e2e.conftest import PREFIX, BedFactory
from tests.e2e.topology import FIVE_ETCD, require

SUBNET = IPv4Network("198.18.44.0/24")


def test_five_etcd_members_on_hosts_of_their_own(beds: BedFactory) -> None:
    bed = beds(FIVE_ETCD.lab(f"{PREFIX}top", SUBNET))
    bed.run("up").expect(0, "is ready")
    require(bed, FIVE_ETCD)
