"""A cluster under probes, from one end to the other, with a server that plays its API and its application."""

import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from kbootstrap.errors import Unreachable
from kbootstrap.events import Event
from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.model.settings import Endpoint, Settings
from kbootstrap.pki import paths
from kbootstrap.probes.recording import Recording
from kbootstrap.probes.summary import summarize
from kbootstrap.workflows import probing, ways
from kbootstrap.workflows.image import Image
from kbootstrap.workflows.probing import ProbeSettings, probed
from tests.fakes import FakeConnection
from tests.unit.probes.server import OK, Asked, Reaction, Server, answer, serving
from tests.unit.workflows.hosts import cluster

POD = {"metadata": {}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
SETTINGS = ProbeSettings(rate=20)

HERE, NOBODY = IPv4Address("127.0.0.1"), IPv4Address("127.0.0.2")
"""Where the servers listen, and where nobody does."""


@dataclass
class PlayedCluster:
    """Keeps what is created; forgets every object whose name is in `loses`; has `ready` replicas."""

    port: int
    loses: frozenset[str] = frozenset()
    ready: int = 2
    objects: list[str] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)

    def __call__(self, asked: Asked) -> Reaction:
        path = urlsplit(asked.path).path
        if asked.method == "POST":
            self.objects.append(json.loads(asked.body)["metadata"]["name"])
            return Reaction(answer("201 Created"))
        if asked.method == "PATCH":
            made = json.loads(asked.body)
            if made["kind"] == "Service":
                made["spec"]["ports"][0]["nodePort"] = self.port
            return said(made)
        if asked.method == "DELETE":
            self.deleted.add(path)
            return OK
        if path in self.deleted:
            return Reaction(answer("404 Not Found"))
        if path.endswith("/pods"):
            return said({"items": [POD] * self.ready})
        if path.endswith("/configmaps"):
            kept = [{"metadata": {"name": name}} for name in self.objects if name not in self.loses]
            return said({"items": kept, "metadata": {}})
        return said({"items": None, "metadata": {}})


def said(value: object) -> Reaction:
    return Reaction(answer(body=json.dumps(value).encode()))


@dataclass
class World:
    """A cluster of one control-plane host and a worker, both this machine."""

    cluster: Cluster
    played: PlayedCluster
    api: Server
    web: Server
    connections: dict[str, FakeConnection]
    told: list[Event] = field(default_factory=list)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with serving(tmp_path, names=(HERE, NOBODY)) as api, serving(tmp_path, plain=True) as web:
        hosts = {host.name: replace(host, address=HERE) for host in cluster().hosts if host.name in ("cp1", "w1")}
        settings = Settings(endpoint=Endpoint(mode="external", address="127.0.0.1", port=api.target.port))
        connections = {name: FakeConnection(name) for name in hosts}
        files = {str(paths.CA_CERTIFICATE): api.authority.certificate, str(paths.CA_KEY): api.authority.key}
        connections["cp1"].files.update(files)
        connections["cp1"].expect(re.compile(".*etcdctl .* del --prefix /registry/configmaps/kbootstrap-probe-.*"), "0")
        played = PlayedCluster(web.target.port)
        api.react = played
        monkeypatch.setattr(probing, "supplied", no_image)
        monkeypatch.setattr(ways, "KUBELET_PORT", web.target.port)
        monkeypatch.setattr(ways, "tunnels_apart", at_once)
        yield World(replace(cluster(settings), hosts=tuple(hosts.values())), played, api, web, connections)


@contextmanager
def at_once(host: Host, remotes: Sequence[tuple[str, int]], _: object) -> Iterator[tuple[int, ...]]:
    """The worker is this machine: its ports are here already."""
    assert (host.name, {address for address, _ in remotes}) == ("w1", {str(HERE)})
    yield tuple(port for _, port in remotes)


@contextmanager
def no_image(*_: object) -> Iterator[Image]:
    yield Image("agnhost")


def run(world: World, settings: ProbeSettings = SETTINGS) -> Recording:
    with probed(world.cluster, world.connections, world.told.append, settings) as recording:
        time.sleep(1.0)
    return recording


def test_nothing_happens_and_nobody_notices(world: World) -> None:
    recording = run(world)
    found = summarize(recording.observation())
    assert found.problems == ()
    assert {probe.name: probe.requests > 5 for probe in found.probes} == dict.fromkeys(
        ("api-new", "api-kept", "write-new", "write-kept", "application"), True
    )
    (verdict,) = found.ledgers
    assert (verdict.where, verdict.good, verdict.acknowledged) == ("the API", True, len(world.played.objects))
    assert found.replicas is not None
    assert (found.replicas.lowest, found.replicas.wanted) == (2, 1)
    assert len([path for path in world.played.deleted if path.count("/") == 4]) == 1
    swept = [command.rpartition("/")[2] for command in world.connections["cp1"].commands if "registry" in command]
    assert swept == ["write-new-0000", "write-kept-0000"]
    assert [event.text for event in world.told] == [  # type: ignore[union-attr]
        "probing through 127.0.0.1: api-new 20/s, api-kept 20/s, write-new 10/s, write-kept 20/s, application 20/s"
    ]


def test_a_write_that_is_lost_is_named(world: World) -> None:
    world.played.loses = frozenset({"write-kept-0000003"})
    (problem,) = summarize(run(world).observation()).problems
    assert problem == "1 acknowledged writes are not in the API, such as write-kept-0000003"


def test_writes_are_looked_for_elsewhere_too(world: World) -> None:
    def silent(_: object) -> list[str]:
        raise Unreachable("no route to host")

    readers = {"etcd on cp1": lambda _: world.played.objects, "etcd on cp2": silent, "etcd on cp3": lambda _: ["other"]}
    verdicts = run(world, replace(SETTINGS, readers=readers)).ledgers
    assert [(verdict.where, verdict.good) for verdict in verdicts] == [
        ("the API", True),
        ("etcd on cp1", True),
        ("etcd on cp2", False),
        ("etcd on cp3", False),
    ]


def test_a_budget_that_is_broken_is_seen(world: World) -> None:
    world.played.ready = 0
    assert summarize(run(world).observation()).problems == ("the application had 0 ready replicas; its budget is 1",)


def test_everything_is_taken_away_and_told_when_the_work_fails(world: World) -> None:
    recording = None
    with pytest.raises(ZeroDivisionError):  # noqa: SIM117
        with probed(world.cluster, world.connections, world.told.append, SETTINGS) as recording:
            time.sleep(0.5)
            raise ZeroDivisionError
    assert recording is not None
    assert recording.ledgers[0].good
    assert recording.samples().tracks[0].requests > 0
    assert world.played.deleted


def test_without_a_way_from_here_it_goes_through_a_worker(world: World) -> None:
    endpoint = Endpoint(mode="external", address=str(NOBODY), port=1)
    far = tuple(replace(host, address=NOBODY) for host in world.cluster.hosts)
    world.cluster = replace(world.cluster, hosts=far, settings=Settings(endpoint=endpoint))
    world.connections["w1"].ports = {
        (str(NOBODY), 1): world.api.target.port,
        (str(NOBODY), world.web.target.port): world.web.target.port,
    }
    found = summarize(run(world, ProbeSettings(rate=200)).observation())
    assert found.problems == ()
    assert found.probes[0].requests <= 2 * ways.TUNNEL_RATE


def test_proxies_on_every_host_are_asked_at_a_workers(world: World) -> None:
    port = 6443
    local = Settings(endpoint=Endpoint(mode="local", port=port))
    world.cluster = replace(world.cluster, settings=local)
    world.connections["w1"].ports = {("127.0.0.1", port): world.api.target.port}
    found = summarize(run(world, ProbeSettings(rate=200)).observation())
    assert found.problems == ()
    assert found.probes[0].requests <= 2 * ways.TUNNEL_RATE


def test_the_application_can_be_asked_for_at_the_endpoint(world: World) -> None:
    down = replace(world.cluster.host("w1"), address=NOBODY)
    world.cluster = replace(world.cluster, hosts=(world.cluster.host("cp1"), down))
    assert summarize(run(world, replace(SETTINGS, entry="endpoint")).observation()).problems == ()


def test_a_worker_sends_the_same(world: World) -> None:
    """Through SSH; the objects that it creates have names of their own, and are looked for like all others."""
    world.connections["w1"].expect(":")
    recording = run(world, replace(SETTINGS, worker_rate=10.0))
    found = summarize(recording.observation())
    assert found.problems == ()
    assert {probe.name: probe.requests > 2 for probe in found.probes[5:]} == dict.fromkeys(
        ("api-new.w1", "api-kept.w1", "write-kept.w1", "application.w1"), True
    )
    assert found.ledgers[0].acknowledged == len(world.played.objects)
    assert "write-kept.w1-0000001" in world.played.objects
    assert recording.place.startswith("w1 probes too, through SSH")


@pytest.mark.parametrize("reason", ["hurt", "unreachable"])
def test_nothing_is_sent_from_a_worker_that_is_lost(world: World, reason: str) -> None:
    if reason == "unreachable":
        del world.connections["w1"]
    recording = run(world, replace(SETTINGS, worker_rate=10.0, hurt=lambda: ("w1",) if reason == "hurt" else ()))
    assert (len(recording.observation().samples.tracks), recording.place) == (5, "")


def test_without_a_control_plane_host_there_is_no_certificate(world: World) -> None:
    del world.connections["cp1"]
    with pytest.raises(Unreachable, match="authority"):
        run(world)


def test_with_one_worker_the_application_may_run_on_control_plane_hosts(world: World) -> None:
    run(world)
    asked = [one for one in world.api.asked if one.method == "PATCH" and "/deployments/" in one.path]
    assert b"tolerations" in asked[0].body
    assert not probing._application(with_workers(world.cluster), {}, world.told.append).on_control_plane


def with_workers(cluster: Cluster) -> Cluster:
    worker: Host = cluster.host("w1")
    return replace(cluster, hosts=(*cluster.hosts, replace(worker, name="w2")))
