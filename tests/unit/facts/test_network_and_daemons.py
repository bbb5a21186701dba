"""Reachability, latency and the daemons' own words: real output of a real cluster, and this machine."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import IPv4Address
from pathlib import Path, PurePosixPath
from threading import Thread

import pytest

from kbootstrap.facts.etcd import EtcdStatus
from kbootstrap.facts.health import NO_ANSWER, Health
from kbootstrap.facts.latency import SAMPLES, SyncLatency
from kbootstrap.facts.nodes import KubeNodes, Lease, NodeState
from kbootstrap.facts.reach import FullPacket, FullPackets, PeerPort, PeerPorts
from kbootstrap.facts.runs import LastLines, LockNote
from tests.local_host import read_here

OPEN = PeerPort(IPv4Address("198.18.7.12"), 2380)
CLOSED = PeerPort(IPv4Address("198.18.7.13"), 6443)
REFUSED = PeerPort(IPv4Address("198.18.7.21"), 10250)
SILENT = PeerPort(IPv4Address("198.18.7.22"), 10250)

CURL_7_88 = b"""\
Connected to 198.18.7.12 (198.18.7.12) port 2380 (#1)
connect to 198.18.7.13 port 6443 failed: Connection refused
connect to 198.18.7.21 port 10250 failed: No route to host
"""
CURL_8_14 = b"""\
Connected to 198.18.7.12 (198.18.7.12) port 2380
connect to 198.18.7.13 port 6443 from 198.18.7.11 port 51502 failed: Connection refused
connect to 198.18.7.21 port 10250 from 198.18.7.11 port 40312 failed: No route to host
"""


@pytest.mark.parametrize("output", [CURL_7_88, CURL_8_14])
def test_a_refusal_by_the_host_itself_proves_that_it_is_reached(output: bytes) -> None:
    found = PeerPorts((OPEN, CLOSED, REFUSED, SILENT)).value(output)
    assert found == {OPEN: "open", CLOSED: "closed", REFUSED: "blocked", SILENT: "blocked"}


def test_ports_here() -> None:
    loopback = IPv4Address("127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        opened = PeerPort(loopback, listening.getsockname()[1])
        closed = PeerPort(loopback, bound.getsockname()[1])
        fact = PeerPorts((closed, opened))
        assert read_here(fact)[fact] == {closed: "closed", opened: "open"}


def test_a_lone_host_has_nobody_to_reach() -> None:
    fact = PeerPorts(())
    assert read_here(fact)[fact] == {}


def test_full_packets_that_get_lost() -> None:
    fact = FullPackets((IPv4Address("198.18.7.12"), IPv4Address("198.18.7.13")))
    assert fact.value(b"198.18.7.13 yes no\n198.18.7.12 yes yes\n") == {
        IPv4Address("198.18.7.12"): FullPacket(small=True, large=True),
        IPv4Address("198.18.7.13"): FullPacket(small=True, large=False),
    }
    assert fact.value(b"\n") == {}


def test_latency_here(tmp_path: Path) -> None:
    fact = SyncLatency(PurePosixPath(tmp_path / "not/there"))
    latencies = read_here(fact)[fact]
    assert len(latencies) == SAMPLES
    assert list(latencies) == sorted(latencies)
    assert not list(tmp_path.iterdir())


def test_latency_as_dd_says_it() -> None:
    said = b"2300 bytes (2.3 kB, 2.2 KiB) copied, 0.0284925 s, 80.7 kB/s\n2300 bytes copied, 9.7e-05 s, 23 MB/s\n"
    assert SyncLatency(PurePosixPath("/")).value(said) == (9.7e-05, 0.0284925)


class _Unwell(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 500)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def daemon() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Unwell) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_health_of_several_daemons_at_once() -> None:
    with daemon() as address, socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        well, unwell = Health(f"{address}/healthz"), Health(f"{address}/readyz")
        gone = Health(f"http://127.0.0.1:{bound.getsockname()[1]}/", PurePosixPath("/no/authority"))
        seen = read_here(well, gone, unwell)
    assert seen[well].ok
    assert (seen[unwell].ok, seen[unwell].code) == (False, 500)
    assert (seen[gone].ok, seen[gone].code) == (False, 0)
    assert "connect" in seen[gone].error


def test_health_that_was_not_told() -> None:
    fact = Health("http://127.0.0.1/")
    assert Health.parse((fact,), b"") == {fact: NO_ANSWER}


ENDPOINT_STATUS = b"""\
[{"Endpoint":"https://127.0.0.1:2379","Status":{"header":{"cluster_id":6956835986215418325,\
"member_id":13815897686646126984,"revision":655,"raft_term":3},"version":"3.6.16","dbSize":860160,\
"leader":12659615966976738685,"raftIndex":809,"raftTerm":3,"raftAppliedIndex":809,"dbSizeInUse":860160,\
"errors":["memberID:13815897686646126984 alarm:NOSPACE "],\
"storageVersion":"3.6.0","dbSizeQuota":8589934592,"downgradeInfo":{}}}]
"""
ETCDCTL = EtcdStatus(PurePosixPath("/usr/local/bin/etcdctl"))


def test_an_etcd_member() -> None:
    member = ETCDCTL.value(ENDPOINT_STATUS)
    assert member is not None
    assert (member.member, member.leader) == (13815897686646126984, 12659615966976738685)
    assert (member.version, member.db_bytes, member.raft_index, member.learner) == ("3.6.16", 860160, 809, False)
    assert member.alarms == ("memberID:13815897686646126984 alarm:NOSPACE ",)


@pytest.mark.parametrize(
    "output", [b"", b"null", b"[]", b"[{}]", b"Error: context deadline exceeded", b'[{"Status":1}]']
)
def test_a_member_that_does_not_answer(output: bytes) -> None:
    assert ETCDCTL.value(output) is None


GET = (
    b'{"kind":"NodeList","apiVersion":"v1","metadata":{"resourceVersion":"57984"},"items":[{"metadata":{"name"'
    b':"cp1","creationTimestamp":"2026-11-22T03:02:23Z"},"spec":{"podCIDR":"10.244.3.0/24"},"status":{"conditi'
    b'ons":[{"type":"PIDPressure","status":"False","message":"kubelet has sufficient PID available"},{"type":"'
    b'Ready","status":"True","message":"kubelet is posting ready status"}],"nodeInfo":{"kubeletVersion":"v1.36'
    b'.4"}}},{"metadata":{"name":"w1","creationTimestamp":"2026-11-22T03:02:11Z"},"spec":{"podCIDR":"10.244.0.'
    b'0/24","unschedulable":true},"status":{"conditions":[{"type":"Ready","status":"Unknown","message":"Kubele'
    b't stopped posting node status."}],"nodeInfo":{"kubeletVersion":"v1.36.4"}}}]}\n'
    b'{"kind":"LeaseList","apiVersion":"coordination.k8s.io/v1","metadata":{"resourceVersion":"57984"},"items"'
    b':[{"metadata":{"name":"kube-scheduler","creationTimestamp":"2026-11-22T03:02:09Z"},"spec":{"holderIdenti'
    b'ty":"cp2_c2db46ec-282d-47aa-9e89-b2a31124d488","leaseDurationSeconds":15,"acquireTime":"2026-11-22T03:02'
    b':09.628368Z","renewTime":"2026-11-22T03:21:55.392320Z","leaseTransitions":0}}]}\n'
)


def test_nodes_and_leases() -> None:
    view = KubeNodes().value(GET)
    assert view is not None
    created = datetime.fromisoformat("2026-11-22T03:02:23Z")
    assert view.nodes[0] == NodeState("cp1", created, "1.36.4", "True", "kubelet is posting ready status", True)
    assert (view.nodes[1].ready, view.nodes[1].schedulable) == ("Unknown", False)
    renewed = datetime.fromisoformat("2026-11-22T03:21:55.392320Z")
    assert view.leases == (Lease("kube-scheduler", "cp2_c2db46ec-282d-47aa-9e89-b2a31124d488", renewed),)


def test_a_node_that_has_never_said_how_it_is() -> None:
    node = (
        b'{"metadata":{"name":"w9","creationTimestamp":"2026-11-22T03:02:23Z"},"spec":{},'
        b'"status":{"nodeInfo":{"kubeletVersion":""}}}'
    )
    view = KubeNodes().value(b'{"kind":"NodeList","items":[' + node + b']}\n{"kind":"LeaseList","items":null}\n')
    assert view is not None
    assert (view.nodes[0].ready, view.nodes[0].schedulable, view.leases) == ("Unknown", True, ())


@pytest.mark.parametrize("output", [b"", GET[:-9], GET.splitlines()[0], b"The connection was refused\n"])
def test_half_an_answer_is_none(output: bytes) -> None:
    assert KubeNodes().value(output) is None


def test_an_empty_cluster_is_an_answer() -> None:
    view = KubeNodes().value(b'{"kind":"NodeList","items":[]}\n{"kind":"LeaseList","items":[]}\n')
    assert view is not None
    assert view.nodes == ()


def test_the_end_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("1\n2\n3\n")
    there, missing = LastLines(str(tmp_path / "journal"), 2), LastLines(str(tmp_path / "none"), 2)
    seen = read_here(there, missing)
    assert (seen[there].split(), seen[missing].strip()) == (["2", "3"], "")


def test_a_lock_is_held_while_its_process_lives(tmp_path: Path) -> None:
    held, stale = tmp_path / "held", tmp_path / "stale"
    held.write_text('1 {"who": "root"}')
    stale.write_text('999999999 {"who": "root"}')
    facts = [LockNote(str(path)) for path in (held, stale, tmp_path / "none")]
    seen = read_here(*facts)
    assert [seen[fact].strip() for fact in facts] == ['1 {"who": "root"}', "", ""]
