"""What hosts say when something happens, as they really say it."""

import re

import pytest

from kbootstrap.drills.chronicle import Chronicle
from kbootstrap.drills.lookout import LISTENS, Hearer, Lookout
from kbootstrap.drills.result import Kind
from kbootstrap.events import Event, ignore
from tests.fakes import FakeConnection

VIP = "198.18.50.100"
TAKEN = "2: eth0    inet 198.18.50.100/32 scope global eth0\\       valid_lft forever preferred_lft forever"
OTHER = "2: eth0    inet 198.18.50.11/24 scope global eth0\\       valid_lft forever preferred_lft forever"
ELECTED = (
    '{"level":"info","ts":"2026-11-21T10:00:52.412101Z","logger":"raft","caller":"v3/raft.go:1",'
    '"msg":"raft.node: 1f2e3d elected leader 9a8b7c at term 7"}'
)
LEASE = 'I1121 10:12:02.1 47 leaderelection.go:272] "Successfully acquired lease" lock="kube-system/kube-scheduler"'
OLD_LEASE = "I1121 10:12:02.1 47 leaderelection.go:258] successfully acquired lease kube-system/kube-controller-manager"
UNREADY = "198.18.50.12 is unready: /readyz says 500"


def heard(line: str) -> tuple[list[tuple[Kind, str]], set[str]]:
    chronicle = Chronicle(ignore)
    holders: set[str] = {"cp1"}

    def hold(host: str, has: bool) -> None:
        (holders.add if has else holders.discard)(host)

    hearer = Hearer("cp1", VIP, {"9a8b7c": "cp3"}, {"198.18.50.12": "cp2"}, chronicle, hold)
    hearer.hear(line)
    return [(moment.kind, moment.text) for moment in chronicle.moments()], holders


@pytest.mark.parametrize(
    ("line", "kind", "text"),
    [
        (TAKEN, Kind.VIP_MOVED, "the VIP is on cp1"),
        (f"Deleted {TAKEN}", Kind.NOTE, "cp1 has given up the VIP"),
        (ELECTED, Kind.LEADER, "etcd follows cp3 (term 7)"),
        (LEASE, Kind.LEADER, "kube-scheduler leads here"),
        (OLD_LEASE, Kind.LEADER, "kube-controller-manager leads here"),
        (UNREADY, Kind.DETECTED, "the proxy passes over the apiserver of cp2: /readyz says 500"),
        (
            "198.18.50.12 is gone, connections ended: 7",
            Kind.NOTE,
            "connections to the apiserver of cp2 that the proxy ended: 7",
        ),
        (
            "198.18.50.12 does not recover, connections ended: 3",
            Kind.NOTE,
            "connections to the apiserver of cp2 that the proxy ended: 3",
        ),
        ("198.18.50.12 is ready", Kind.NOTE, "the proxy has the apiserver of cp2 in again"),
    ],
)
def test_moments(line: str, kind: Kind, text: str) -> None:
    assert heard(line)[0] == [(kind, text)]


@pytest.mark.parametrize("line", ["", OTHER, f"Deleted {OTHER}", "Started etcd.service - etcd.", "nonsense is unready"])
def test_everything_else_is_no_moment(line: str) -> None:
    assert heard(line)[0] == []


def test_who_holds_the_vip() -> None:
    assert heard(TAKEN)[1] == {"cp1"}
    assert heard(f"Deleted {TAKEN}")[1] == set()


def test_hosts_are_listened_to_until_the_end() -> None:
    events: list[Event] = []
    chronicle = Chronicle(events.append)

    def hearer(host: str) -> Hearer:
        return Hearer(host, VIP, {}, {}, chronicle, lambda _host, _has: None)

    lookout = Lookout("run", 60.0, hearer)
    host = FakeConnection("cp1")
    host.expect(matching("ip -4 -oneline monitor"), f"{LISTENS}\n{TAKEN}\n")
    host.expect("rm -rf /run/kbootstrap/lookout-run")
    with lookout.listening({"cp1": host}):
        pass
    assert [moment.text for moment in chronicle.moments()] == ["the VIP is on cp1"]
    assert host.commands[-1] == "rm -rf /run/kbootstrap/lookout-run"


def matching(words: str) -> "re.Pattern[str]":
    return re.compile(f"(?s).*{re.escape(words)}.*")
