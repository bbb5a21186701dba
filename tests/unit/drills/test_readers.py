"""Reading writes back from members: those of the API, and those that went straight into etcd."""

import pytest

from kbootstrap.drills.readers import READ_SECONDS, member_readers
from kbootstrap.errors import CommandFailed
from kbootstrap.probes.application import Stage
from tests.fakes import FakeConnection
from tests.unit.drills.stage import VIP

STAGE = Stage("kbootstrap-probe-0a1b2c", 30000)
GET = f"/usr/local/bin/etcdctl --command-timeout={READ_SECONDS:.0f}s get {{}} --prefix --keys-only --consistency=s"
OBJECTS, KEYS = f"/registry/configmaps/{STAGE.namespace}/", f"/{STAGE.namespace}/"


def test_both_are_read_from_the_members_own_data() -> None:
    host = FakeConnection("cp2")
    host.expect(GET.format(OBJECTS), f"{OBJECTS}write-new-0000001\n\n{OBJECTS}read\n")
    host.expect(GET.format(KEYS), f"{KEYS}etcd-write-0000001\n\n{KEYS}etcd-write-0000002\n")
    (reader,) = member_readers(VIP, {"cp2": host, "w1": FakeConnection("w1")}).values()
    assert list(reader(STAGE)) == ["write-new-0000001", "read", "etcd-write-0000001", "etcd-write-0000002"]


def test_a_member_that_does_not_answer_is_no_proof() -> None:
    host = FakeConnection("cp2")
    host.expect(GET.format(OBJECTS), exit_code=1, stderr="context deadline exceeded")
    (reader,) = member_readers(VIP, {"cp2": host}).values()
    with pytest.raises(CommandFailed, match="own data cannot be read"):
        list(reader(STAGE))
