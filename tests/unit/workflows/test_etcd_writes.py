"""Writes straight into etcd: who is asked, with what, and that nothing of it stays."""

import json
import re
import time
from base64 import b64decode
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from kbootstrap.errors import CommandFailed, Unreachable
from kbootstrap.events import Event
from kbootstrap.pki import paths
from kbootstrap.probes.application import Stage
from kbootstrap.probes.ledger import ledger
from kbootstrap.probes.process import probing
from kbootstrap.probes.recording import Recording
from kbootstrap.probes.spec import Spec
from kbootstrap.workflows import etcd_writes
from kbootstrap.workflows.etcd_writes import leased, reachable
from kbootstrap.workflows.ways import TUNNEL_RATE, Ways
from tests.fakes import FakeConnection
from tests.unit.probes.server import NOW, OK, Asked, Reaction, Server, serving
from tests.unit.workflows.hosts import cluster

STAGE = Stage("kbootstrap-probe-0a1b2c", 30000)
ETCDCTL = "/usr/local/bin/etcdctl --command-timeout=10s "
LEASE = 0x1A2B


@dataclass
class PlayedEtcd:
    """Keeps the keys that are put."""

    keys: dict[str, str] = field(default_factory=dict)

    def __call__(self, asked: Asked) -> Reaction:
        assert (asked.method, asked.path) == ("POST", "/v3/kv/put")
        put = json.loads(asked.body)
        self.keys[b64decode(put["key"]).decode()] = put["lease"]
        return OK


def member(name: str = "cp1", revoking: Exception | None = None) -> FakeConnection:
    host = FakeConnection(name)
    host.expect(f"{ETCDCTL}del --prefix /kbootstrap-probe-", "0")
    host.expect(f"{ETCDCTL}lease grant 7200", f"lease {LEASE:x} granted with TTL(7200s)")
    host.expect(f"{ETCDCTL}lease revoke {LEASE:x}", f"lease {LEASE:x} revoked", error=revoking)
    return host


def test_each_key_is_put_once_and_hangs_on_the_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played = PlayedEtcd()
    with serving(tmp_path, played) as server:
        monkeypatch.setattr(etcd_writes, "SERVER_NAME", "127.0.0.1")
        host = with_authority(server)
        who = etcd_writes.credentials(host, NOW, 1.0)
        probe = etcd_writes.probe([server.target], who, STAGE, LEASE, 40.0)
        assert probe.rate == TUNNEL_RATE, "the loopback is the end of a tunnel"
        recording = Recording((probe.name,))
        with probing(Spec("", replace(who, server_name="nobody"), (replace(probe, rate=40.0),)), recording):
            time.sleep(1.0)
    acknowledged = ledger(recording.samples().tracks).acknowledged
    assert len(acknowledged) > 10
    assert played.keys == {f"/{STAGE.namespace}/{name}": str(LEASE) for name in acknowledged}


def with_authority(server: Server) -> FakeConnection:
    host = FakeConnection()
    host.files[str(paths.ETCD_CA_CERTIFICATE)] = server.authority.certificate
    host.files[str(paths.ETCD_CA_KEY)] = server.authority.key
    return host


def test_the_keys_are_taken_away_at_the_end_and_those_of_killed_runs_first() -> None:
    host, told = member(), list[Event]()
    with leased([host], told.append) as lease:
        assert lease == LEASE
        assert host.commands == [f"{ETCDCTL}del --prefix /kbootstrap-probe-", f"{ETCDCTL}lease grant 7200"]
    assert host.commands[2:] == [f"{ETCDCTL}lease revoke {LEASE:x}"]
    assert told == []


def test_another_member_takes_the_keys_away_when_the_first_is_gone() -> None:
    first, second = member("cp1", revoking=Unreachable("no route to host")), member("cp2")
    with leased([first, second], lambda _event: None):
        pass
    assert second.commands == [f"{ETCDCTL}lease revoke {LEASE:x}"]


def test_keys_that_cannot_be_taken_away_are_told_and_fail_nothing() -> None:
    host, told = FakeConnection(), list[Event]()
    host.expect(re.compile(".*del.*"), "0")
    host.expect(re.compile(".*grant.*"), f"lease {LEASE:x} granted with TTL(7200s)")
    host.expect(re.compile(".*revoke.*"), exit_code=1, stderr="context deadline exceeded")
    with leased([host], told.append):
        pass
    assert "expire by themselves" in str(told[0])


def test_no_lease_no_writes() -> None:
    host = FakeConnection()
    host.expect(re.compile(".*del.*"), "0")
    host.expect(re.compile(".*grant.*"), "Error: no quorum")
    with pytest.raises(CommandFailed, match="no lease"), leased([host], lambda _event: None):
        pass


@pytest.mark.parametrize(
    ("hurt", "asked"),
    [((), ["cp1", "cp2", "cp3"]), (("cp2",), ["cp1", "cp3"]), (("cp1", "cp2", "cp3"), [])],
)
def test_members_that_are_hurt_are_not_written_to(
    hurt: Sequence[str], asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No way there but SSH: where all are hurt, none of these connections lasts."""
    monkeypatch.setattr("kbootstrap.workflows.ways._answers", answering(False))
    with ExitStack() as stack:
        found = reachable(cluster(), ways(stack), hurt)
    assert [(target.name, target.host) for target in found] == [(name, "127.0.0.1") for name in asked]


def test_where_all_members_are_hurt_they_are_written_to_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kbootstrap.workflows.ways._answers", answering(True))
    addresses = {str(host.address) for host in cluster().etcd_members}
    with ExitStack() as stack:
        found = reachable(cluster(), ways(stack), ("cp1", "cp2", "cp3"))
    assert {target.host for target in found} == addresses


def answering(answers: bool) -> Callable[[str, int], bool]:
    return lambda _host, _port: answers


def ways(stack: ExitStack) -> Ways:
    connections = {host.name: FakeConnection(host.name, ports={("127.0.0.1", 2379): 1}) for host in cluster().hosts}
    return Ways(cluster(), connections, "", stack)
