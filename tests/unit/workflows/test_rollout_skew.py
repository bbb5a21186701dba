"""The version skew policy holds at every moment of every upgrade and every way back, wherever one was cut short."""

from hypothesis import given
from hypothesis import strategies as st

from kbootstrap.engine.playbook import Playbook
from kbootstrap.errors import InvalidInput
from kbootstrap.model.cluster import Cluster
from kbootstrap.model.skew import Installed, changed, violations
from kbootstrap.model.versions import Version
from kbootstrap.workflows.playbooks import builtin, in_batches
from kbootstrap.workflows.releases import route, stages
from tests.unit.workflows.rollouts import everywhere, parts_of, rollout, site

ORIGIN = Version(1, 36, 4)
BOOKS = {name: builtin(name) for name in ("upgrade", "downgrade")}

clusters = st.builds(site, st.sampled_from([1, 2, 3, 5]), st.integers(0, 5))
targets = st.builds(Version, st.just(1), st.integers(35, 37), st.integers(3, 5))
sizes = st.one_of(st.integers(1, 6), st.sampled_from(["20%", "50%", "100%"]))


def moved(data: st.DataObject, cluster: Cluster, book: Playbook, there: Installed, target: Version) -> Installed:
    """What is there after a run that may be cut short after any change of a link. The policy held all the while."""
    left = data.draw(st.integers(0, 30), label="changes until it is cut short")
    for batch in rollout(cluster, book, there, target):
        queues = {task.host: parts_of(task) for task in batch if task.changes}
        while queues:  # hosts of a batch go side by side, each in its own order
            host = data.draw(st.sampled_from(sorted(queues)))
            if left == 0:
                return there
            left -= 1
            there = changed(there, [host], [queues[host].pop(0)], target)
            assert violations(there) == []
            if not queues[host]:
                del queues[host]
    assert there == everywhere(cluster, target)
    return there


@given(st.data(), clusters, targets, sizes)
def test_the_policy_holds_however_often_an_upgrade_is_cut_short(
    data: st.DataObject, cluster: Cluster, target: Version, size: int | str
) -> None:
    there = everywhere(cluster, ORIGIN)
    for goal in data.draw(st.lists(st.sampled_from([ORIGIN, target]), min_size=1, max_size=4), label="goals"):
        way = route(there, goal, [])
        book = in_batches(BOOKS[way.playbook], size)
        for stage in stages(there, rollout(cluster, book, there, goal), goal):
            assert stage.violations == ()
        there = moved(data, cluster, book, there, goal)


@given(st.data(), clusters, targets, targets)
def test_what_a_cluster_in_between_may_go_to_keeps_the_policy(
    data: st.DataObject, cluster: Cluster, target: Version, other: Version
) -> None:
    start = everywhere(cluster, ORIGIN)
    there = moved(data, cluster, BOOKS[route(start, target, []).playbook], start, target)
    try:
        way = route(there, other, [])
    except InvalidInput:
        return
    moved(data, cluster, BOOKS[way.playbook], there, other)


def test_the_order_matters() -> None:
    """The wrong way round, both playbooks break the policy: that the properties can fail."""
    cluster = site(3, 1)
    new = Version(1, 37, 0)
    for book, origin, target in (("downgrade", ORIGIN, new), ("upgrade", new, ORIGIN)):
        found = stages(
            everywhere(cluster, origin), rollout(cluster, BOOKS[book], everywhere(cluster, origin), target), target
        )
        assert any(stage.violations for stage in found)


def test_the_stages_of_an_upgrade_in_words() -> None:
    cluster, new = site(3, 2), Version(1, 37, 0)
    there = everywhere(cluster, ORIGIN)
    found = stages(there, rollout(cluster, BOOKS["upgrade"], there, new), new)
    assert [(stage.phase, *stage.hosts) for stage in found] == [
        (phase, host)
        for phase, hosts in (
            ("apiservers", ("cp1", "cp2", "cp3")),
            ("controllers", ("cp1", "cp2", "cp3")),
            ("control-plane-nodes", ("cp1", "cp2", "cp3")),
            ("workers", ("w1", "w2")),
        )
        for host in hosts
    ]
    assert found[0].parts == ("kube-apiserver",)
    assert found[3].parts == ("kube-controller-manager", "kube-scheduler")
    assert found[0].installed["cp1"]["kube-apiserver"] == new
    assert found[0].installed["cp2"]["kube-apiserver"] == ORIGIN
    assert found[-1].installed == everywhere(cluster, new)


def test_a_plan_of_nothing_has_no_stages() -> None:
    cluster = site(3, 2)
    there = everywhere(cluster, ORIGIN)
    assert stages(there, rollout(cluster, BOOKS["upgrade"], there, ORIGIN), ORIGIN) == []
