"""Which way leads from what the hosts use to a version, and which version came before."""

from collections.abc import Mapping

import pytest

from kbootstrap.engine.journal import Entry
from kbootstrap.errors import InvalidInput, PreflightFailed
from kbootstrap.facts.fact import Facts
from kbootstrap.facts.versions import InUse
from kbootstrap.model.skew import Installed
from kbootstrap.model.versions import Version
from kbootstrap.workflows.releases import (
    ETCD,
    VERSIONS,
    Route,
    before,
    installed,
    require_installed_version,
    require_way_for_etcd,
    route,
)
from tests.unit.workflows.rollouts import everywhere, site

KNOWN = [Version(1, 35, 6), Version(1, 36, 4), Version(1, 37, 1)]


def version(text: str) -> Version:
    return Version.parse(text)


def kubelets(*versions: str) -> Installed:
    """A cluster whose parts have these versions: the first host's are the apiserver's."""
    return {f"h{number}": {"kubelet": version(text)} for number, text in enumerate(versions)}


@pytest.mark.parametrize(
    ("there", "target", "origin", "playbook"),
    [
        (["1.36.4"], "1.37.1", "1.36.4", "upgrade"),
        (["1.36.4"], "1.36.9", "1.36.4", "upgrade"),
        (["1.36.4"], "1.36.4", "1.36.4", "upgrade"),
        (["1.36.4"], "1.36.1", "1.36.4", "downgrade"),
        (["1.36.4"], "1.35.6", "1.36.4", "downgrade"),
        # an upgrade that was cut short: on, and back
        (["1.36.4", "1.37.1"], "1.37.1", "1.36.4", "upgrade"),
        (["1.36.4", "1.37.1"], "1.36.4", "1.37.1", "downgrade"),
        # within one of its two minors
        (["1.36.4", "1.37.1"], "1.37.0", "1.36.4", "upgrade"),
        (["1.36.4", "1.37.1"], "1.36.9", "1.37.1", "downgrade"),
        # patches that differ are no upgrade under way
        (["1.36.1", "1.36.4"], "1.37.1", "1.36.1", "upgrade"),
        (["1.36.1", "1.36.4"], "1.36.2", "1.36.1", "upgrade"),
        (["1.36.1", "1.36.4"], "1.35.6", "1.36.4", "downgrade"),
    ],
)
def test_the_way(there: list[str], target: str, origin: str, playbook: str) -> None:
    way = route(kubelets(*there), version(target), KNOWN)
    assert (way, way.playbook) == (Route(version(origin), version(target)), playbook)


@pytest.mark.parametrize(
    ("there", "target", "said"),
    [
        ([], "1.37.1", "there is no Kubernetes"),
        (["1.35.6"], "1.37.1", "go 1.35.6 -> 1.36.4 -> 1.37.1"),
        (["1.37.1"], "1.35.6", "more than one minor older"),
        (["1.36.4", "1.37.1"], "1.38.0", "go 1.36.4 -> 1.37.1 -> 1.38.0"),
        (["1.36.4", "1.37.1"], "1.35.6", "more than one minor older"),
        (["1.36.4", "1.37.1"], "1.37.2", "parts of the cluster run 1.36.4, others 1.37.1"),
        (["1.36.4", "1.37.1"], "1.36.2", "parts of the cluster run 1.36.4, others 1.37.1"),
    ],
)
def test_there_is_no_way(there: list[str], target: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        route(kubelets(*there), version(target), KNOWN)
    assert said in caught.value.message


def test_the_journal_says_what_came_before() -> None:
    assert before(kubelets("1.37.1"), [entry(1, "1.36.4", "1.37.1")]) == version("1.36.4")


def test_the_last_of_several_ways_counts_in_whatever_order_the_hosts_tell_them() -> None:
    entries = [entry(3, "1.36.9", "1.37.1"), entry(1, "1.36.4", "1.37.1"), entry(2, "1.37.1", "1.36.9")]
    assert before(kubelets("1.37.1"), entries) == version("1.36.9")
    assert before(kubelets("1.37.1"), reversed(entries)) == version("1.36.9")


def test_back_from_the_middle_of_an_upgrade() -> None:
    assert before(kubelets("1.36.4", "1.37.1"), [entry(1, "1.36.4", "1.37.1")]) == version("1.36.4")


def test_back_twice_does_not_go_forward_again() -> None:
    entries = [entry(1, "1.36.4", "1.37.1"), entry(2, "1.37.1", "1.36.4")]
    with pytest.raises(InvalidInput):
        before(kubelets("1.36.4"), entries)
    assert before(kubelets("1.36.4"), [entry(0, "1.35.6", "1.36.4"), *entries]) == version("1.35.6")


def test_the_end_of_an_upgrade_that_was_cut_short_does_not_hide_where_it_came_from() -> None:
    """All links are made, and the next run has only units to restart: it goes from 1.37.1 to 1.37.1."""
    entries = [entry(1, "1.36.4", "1.37.1"), entry(2, "1.37.1", "1.37.1")]
    assert before(kubelets("1.37.1"), entries) == version("1.36.4")


def test_back_while_going_back() -> None:
    entries = [entry(1, "1.36.4", "1.37.1"), entry(2, "1.37.1", "1.36.4")]
    assert before(kubelets("1.36.4", "1.37.1"), entries) == version("1.36.4")


@pytest.mark.parametrize("command", ["up", "upgrade", "upgrade 1.36.4", "upgrade 1.36 -> 1.37", "reboot"])
def test_other_runs_say_nothing_of_it(command: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        before(kubelets("1.37.1"), [Entry("r", "2026-11-21T03:46:41+00:00", "root@vm", command, "ok")])
    assert caught.value.hint == "name the version: `upgrade --to`"


def test_a_route_is_found_again_in_the_journal() -> None:
    way = Route(version("1.36.4"), version("1.37.1"))
    assert before(kubelets("1.37.1"), [Entry("r", "2026", "me", way.command, "started")]) == way.origin


def entry(hour: int, origin: str, target: str) -> Entry:
    return Entry(f"r{hour}", f"2026-11-21T0{hour}:00:00+00:00", "root@vm", f"upgrade {origin} -> {target}", "ok")


def facts(versions: Mapping[str, str]) -> Facts:
    return Facts({VERSIONS: {part: InUse(version(text), None) for part, text in versions.items()}})


def test_what_counts_is_what_a_host_is_set_to_use() -> None:
    running_old = {"kubelet": InUse(version("1.37.1"), version("1.36.4"))}
    assert installed({"w1": Facts({VERSIONS: running_old}), "w2": Facts({VERSIONS: {}})}) == {
        "w1": {"kubelet": version("1.37.1")},
        "w2": {},
    }


def test_up_leaves_a_clusters_version_alone() -> None:
    cluster = site(1, 2)
    good = {"cp1": facts({"kube-apiserver": "1.36.4", "kubelet": "1.36.4"}), "w1": facts({"kubelet": "1.36.4"})}
    require_installed_version(cluster, {**good, "w2": facts({})})  # w2 is new
    require_installed_version(cluster, {})
    with pytest.raises(PreflightFailed) as caught:
        require_installed_version(cluster, {**good, "w2": facts({"kubelet": "1.35.6"})})
    assert "the inventory says Kubernetes 1.36.4, and hosts use 1.35.6 (w2 kubelet 1.35.6)" in caught.value.message
    assert "`kbootstrap upgrade --to 1.36.4`" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("there", "wanted", "goes"),
    [
        ("3.6.15", "3.6.16", True),
        ("3.6.16", "3.6.15", True),
        ("3.5.21", "3.6.16", True),
        ("3.6.16", "3.5.21", False),
        ("3.4.30", "3.6.16", False),
        ("3.6.16", "4.0.0", False),
        ("", "3.6.16", True),
    ],
)
def test_etcd_skips_no_minor_and_goes_back_by_none(there: str, wanted: str, goes: bool) -> None:
    seen = {"cp1": Facts({ETCD: {"etcd": InUse(version(there), None)} if there else {}})}
    if goes:
        require_way_for_etcd(version(wanted), seen)
    else:
        with pytest.raises(PreflightFailed, match=rf"etcd cannot go to {wanted} in one step \(cp1 {there}\)"):
            require_way_for_etcd(version(wanted), seen)


def test_a_cluster_of_one_version_is_its_own_target() -> None:
    cluster = site(3, 2)
    there = everywhere(cluster, cluster.kubernetes)
    assert route(there, cluster.kubernetes, KNOWN).origin == cluster.kubernetes
