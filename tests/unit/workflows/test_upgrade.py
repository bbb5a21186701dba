"""What an upgrade refuses before anything is touched, and what it then plans."""

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import cast

import pytest

from kbootstrap.components.kubectl import kubectl
from kbootstrap.engine.journal import Entry
from kbootstrap.engine.plan import Plan
from kbootstrap.engine.playbook import Playbook
from kbootstrap.errors import InvalidInput, PreflightFailed
from kbootstrap.events import Event, Note
from kbootstrap.facts.deprecations import METRIC, DeprecatedRequests
from kbootstrap.facts.fact import Facts
from kbootstrap.facts.versions import InUse
from kbootstrap.model.cluster import Cluster
from kbootstrap.model.settings import Upgrades
from kbootstrap.model.skew import Installed, changed
from kbootstrap.model.versions import Version
from kbootstrap.workflows import upgrade
from kbootstrap.workflows.playbooks import WORKERS, builtin
from kbootstrap.workflows.releases import VERSIONS
from kbootstrap.workflows.supplies import Supplies
from kbootstrap.workflows.survey import FirstLook, Survey
from kbootstrap.workflows.upgrade import _JOURNAL, Order, Rollout, plan_upgrade
from tests.fakes import FakeConnection
from tests.unit.workflows.guards.stage import BOUNDARY, expect_facts
from tests.unit.workflows.rollouts import everywhere, site, tasks_of

OLD, NEW = Version(1, 36, 4), Version(1, 37, 1)
ASKED = '{metric}{{group="{group}",removed_release="{removed}",resource="flowschemas",subresource="",version="v1"}} 1\n'


class World:
    """A cluster of three and two with these versions, whose apiservers have counted these requests."""

    def __init__(self, there: Installed | None = None, *, journal: Mapping[str, list[Entry]] | None = None) -> None:
        self.cluster = site(3, 2)
        self.there = there or everywhere(self.cluster, OLD)
        self.hosts = {host.name: FakeConnection(host.name) for host in self.cluster.hosts}
        self.counted: dict[str, str] = {}
        self.events: list[Event] = []
        self.planned: list[Cluster] = []
        for name, host in self.hosts.items():
            lines = "".join(f"{json.dumps(asdict(entry))}\n" for entry in (journal or {}).get(name, []))
            expect_facts(host, {_JOURNAL: lines.encode()})

    def count(self, name: str, removed: str, group: str = "flowcontrol.apiserver.k8s.io") -> None:
        self.counted[name] = self.counted.get(name, "") + ASKED.format(metric=METRIC, group=group, removed=removed)

    def plan(self, order: Order) -> Rollout:
        for host in self.cluster.control_planes:
            fact = DeprecatedRequests(kubectl(f"--server=https://{host.address}:6443"))
            expect_facts(self.hosts[host.name], {fact: self.counted.get(host.name, "").encode()})
        return plan_upgrade(self.cluster, order, self.events.append)

    def asked_for_requests(self) -> list[str]:
        return [name for name, host in self.hosts.items() if any("/metrics" in line for line in host.commands)]

    # What stands in for the parts that read real hosts.

    @contextmanager
    def connected(self, _cluster: Cluster) -> Iterator[dict[str, FakeConnection]]:
        yield self.hosts

    def look_around(self, *_arguments: object) -> dict[str, FirstLook]:
        seen = {
            host: {part: InUse(found, found) for part, found in parts.items()} for host, parts in self.there.items()
        }
        return {host: FirstLook(Facts({VERSIONS: parts}), 0.0) for host, parts in seen.items()}

    def make_survey(
        self, cluster: Cluster, _connections: object, _looks: object, playbook: Playbook, _folder: Path, _emit: object
    ) -> Survey:
        self.planned.append(cluster)
        tasks = tasks_of(cluster, playbook, self.there, cluster.kubernetes)
        return Survey({}, Plan(playbook, tasks), cast(Supplies, None))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return in_place(World(), monkeypatch)


def in_place(made: World, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(secrets, "token_hex", lambda _bytes: BOUNDARY)
    for name in ("connected", "look_around", "make_survey"):
        monkeypatch.setattr(upgrade, name, getattr(made, name))
    return made


def half_done() -> Installed:
    cluster = site(3, 2)
    return changed(everywhere(cluster, OLD), ["cp1", "cp2", "cp3"], ["kube-apiserver"], NEW)


def test_the_plan_is_for_the_target(world: World) -> None:
    rollout = world.plan(Order(target=NEW))
    assert (rollout.route.origin, rollout.route.target) == (OLD, NEW)
    assert world.planned[0].kubernetes == NEW
    assert rollout.plan.playbook.name == "upgrade"
    assert rollout.stages[-1].installed == everywhere(world.cluster, NEW)
    assert [stage.violations for stage in rollout.stages] == [()] * len(rollout.stages)


def test_without_a_target_it_is_the_inventorys(world: World) -> None:
    world.cluster = replace(world.cluster, kubernetes=NEW)
    assert world.plan(Order()).route.target == NEW


def test_a_cluster_that_is_there_already_has_nothing_to_do(world: World) -> None:
    rollout = world.plan(Order())
    assert (rollout.plan.changes, rollout.stages) == (0, ())


@pytest.mark.parametrize(("order", "serial"), [(None, 1), ("20%", "20%"), (3, 3)])
def test_workers_go_in_batches(order: int | str | None, serial: int | str, world: World) -> None:
    assert world.plan(Order(target=NEW, batch=order)).plan.phase(WORKERS).serial == serial


def test_the_inventory_says_how_many_workers_and_the_command_line_has_the_last_word(world: World) -> None:
    settings = world.cluster.settings.model_copy(update={"upgrades": Upgrades(batch="50%")})
    world.cluster = replace(world.cluster, settings=settings)
    assert world.plan(Order(target=NEW)).plan.phase(WORKERS).serial == "50%"
    assert world.plan(Order(target=NEW, batch=1)).plan.phase(WORKERS).serial == 1


def test_a_skipped_minor_is_refused_before_anything_is_asked(world: World) -> None:
    with pytest.raises(InvalidInput, match=r"go 1\.36\.4 -> 1\.37\.\d+ -> 1\.38\.0"):
        world.plan(Order(target=Version(1, 38, 0)))
    assert (world.planned, world.asked_for_requests()) == ([], [])


def test_back_is_where_the_journals_say(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = Entry("r1", "2026-11-21T03:46:41+00:00", "root@vm", f"upgrade {OLD} -> {NEW}", "ok")
    world = in_place(World(everywhere(site(3, 2), NEW), journal={"w2": [ran]}), monkeypatch)
    rollout = world.plan(Order(back=True))
    assert (rollout.route.target, rollout.plan.playbook.name) == (OLD, "downgrade")
    assert world.asked_for_requests() == []  # what is gone in the newer one is there in the older one


def test_back_from_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = Entry("r1", "2026-11-21T03:46:41+00:00", "root@vm", f"upgrade {OLD} -> {NEW}", "failed")
    world = in_place(World(half_done(), journal={"cp1": [ran]}), monkeypatch)
    rollout = world.plan(Order(back=True))
    assert [stage.phase for stage in rollout.stages] == ["apiservers"] * 3


def test_back_without_a_past_is_refused(world: World) -> None:
    with pytest.raises(InvalidInput) as caught:
        world.plan(Order(back=True))
    assert caught.value.hint == "name the version: `upgrade --to`"


def test_removed_apis_in_use_are_refused_by_name(world: World) -> None:
    world.count("cp1", "1.37")
    world.count("cp3", "1.37")
    world.count("cp3", "1.37", group="other.k8s.io")
    world.count("cp2", "1.38")
    with pytest.raises(PreflightFailed) as caught:
        world.plan(Order(target=NEW))
    assert [problem.message for problem in caught.value.problems] == [
        "flowschemas in flowcontrol.apiserver.k8s.io/v1, gone in 1.37",
        "flowschemas in other.k8s.io/v1, gone in 1.37",
    ]
    assert "nothing was changed" in caught.value.message
    assert "--accept-removed-apis" in (caught.value.hint or "")
    assert world.planned == []


def test_removed_apis_may_be_accepted(world: World) -> None:
    world.count("cp2", "1.37")
    assert world.plan(Order(target=NEW, removed_apis=True)).plan.changes
    [note] = [event for event in world.events if isinstance(event, Note)]
    assert (note.level, "gone in 1.37.1: flowschemas" in note.text) == ("warning", True)


@pytest.mark.parametrize(
    ("removed", "target"), [("1.38", NEW), ("1.37", Version(1, 36, 9)), ("1.40", NEW), ("2.0", NEW)]
)
def test_apis_that_the_target_still_has_are_nobodys_business(removed: str, target: Version, world: World) -> None:
    world.count("cp1", removed)
    world.plan(Order(target=target))
    assert world.events == []


def test_a_way_that_would_break_the_policy_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrade, "builtin", lambda _name: builtin("downgrade"))
    with pytest.raises(PreflightFailed) as caught:
        world.plan(Order(target=NEW))
    assert "would break the version skew policy; nothing was changed" in caught.value.message
    assert caught.value.problems[0].message.startswith("after workers on w1: kubelet 1.37.1 on w1 is newer than")
