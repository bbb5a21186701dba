"""The version skew policy, case by case as it is published, and the ways from one version to another."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbootstrap.model import skew
from kbootstrap.model.skew import changed, newest, oldest, refusal, violations
from kbootstrap.model.versions import Version

KNOWN = [Version(1, 34, 9), Version(1, 35, 6), Version(1, 36, 4), Version(1, 37, 1)]

versions = st.builds(Version, st.just(1), st.integers(28, 42), st.integers(0, 12))


def of_minors(**minors: int) -> dict[str, Version]:
    """A host's parts by their minors; `_` stands for `-`."""
    return {part.replace("_", "-"): Version(1, minor, 0) for part, minor in minors.items()}


@pytest.mark.parametrize(
    ("others", "part", "minor", "allowed"),
    [
        # "kube-apiserver is at 1.36; another is supported at 1.36 and 1.35"
        ([36], "kube_apiserver", 36, True),
        ([36], "kube_apiserver", 35, True),
        ([36], "kube_apiserver", 34, False),
        # "kubelet is supported at 1.36, 1.35, 1.34, and 1.33"
        ([36], "kubelet", 36, True),
        ([36], "kubelet", 33, True),
        ([36], "kubelet", 32, False),
        ([36], "kubelet", 37, False),
        # "apiservers at 1.36 and 1.35: kubelet at 1.35, 1.34, 1.33 (1.36 is newer than the one at 1.35)"
        ([36, 35], "kubelet", 36, False),
        ([36, 35], "kubelet", 35, True),
        ([36, 35], "kubelet", 33, True),
        ([36, 35], "kubelet", 32, False),
        ([36], "kube_proxy", 33, True),
        ([36], "kube_proxy", 32, False),
        ([36], "kube_proxy", 37, False),
        # "controller-manager and scheduler are supported at 1.36 and 1.35"
        ([36], "kube_controller_manager", 36, True),
        ([36], "kube_controller_manager", 35, True),
        ([36], "kube_controller_manager", 34, False),
        ([36], "kube_scheduler", 35, True),
        ([36], "kube_scheduler", 34, False),
        # "apiservers at 1.36 and 1.35: 1.35 only (1.36 would be newer than the one at 1.35)"
        ([36, 35], "kube_controller_manager", 35, True),
        ([36, 35], "kube_controller_manager", 36, False),
        ([36, 35], "kube_scheduler", 36, False),
    ],
)
def test_the_published_policy(others: list[int], part: str, minor: int, allowed: bool) -> None:
    hosts = {f"cp{number}": of_minors(kube_apiserver=other) for number, other in enumerate(others)}
    found = violations({**hosts, "here": of_minors(**{part: minor})})
    assert (not found) == allowed, found


def test_a_violation_says_which_part_where() -> None:
    there = {"cp1": of_minors(kube_apiserver=35), "w1": of_minors(kubelet=36), "w2": of_minors(kubelet=31)}
    assert violations(there) == [
        "kubelet 1.36.0 on w1 is newer than an apiserver of the minor 35",
        "kubelet 1.31.0 on w2 is more than 3 minors older than an apiserver",
    ]


def test_patches_do_not_matter() -> None:
    old, new = Version(1, 36, 0), Version(1, 36, 12)
    assert violations({"cp1": {"kube-apiserver": old, "kubelet": new}}) == []


def test_without_an_apiserver_there_is_nothing_to_violate() -> None:
    assert violations({}) == []
    assert violations({"w1": of_minors(kubelet=36), "w2": of_minors(kubelet=20)}) == []


def test_a_change_is_of_these_parts_of_these_hosts() -> None:
    there = {"cp1": of_minors(kube_apiserver=35, kubelet=35), "w1": of_minors(kubelet=35)}
    now = changed(there, ["cp1", "w2"], ["kubelet", "containerd"], Version(1, 36, 0))
    assert now == {**there, "cp1": of_minors(kube_apiserver=35, kubelet=36), "w2": of_minors(kubelet=36)}
    assert there["cp1"] == of_minors(kube_apiserver=35, kubelet=35)


def test_the_ends_of_what_is_installed() -> None:
    there = {"cp1": of_minors(kube_apiserver=36), "w1": {"kubelet": Version(1, 35, 11)}}
    assert (oldest(there), newest(there)) == (Version(1, 35, 11), Version(1, 36, 0))
    assert (oldest({"w9": {}}), newest({})) == (None, None)


@pytest.mark.parametrize("target", ["1.36.4", "1.36.0", "1.36.9", "1.37.0", "1.35.99"])
def test_one_minor_up_or_down_and_any_patch_is_one_step(target: str) -> None:
    assert refusal(Version(1, 36, 4), Version.parse(target), KNOWN) is None


@pytest.mark.parametrize(
    ("current", "target", "way"),
    [
        ("1.34.2", "1.36.4", "1.34.2 -> 1.35.6 -> 1.36.4"),
        ("1.34.2", "1.37.0", "1.34.2 -> 1.35.6 -> 1.36.4 -> 1.37.0"),
        ("1.33.0", "1.36.0", "1.33.0 -> 1.34.9 -> 1.35.6 -> 1.36.0"),
        ("1.36.4", "1.39.0", "1.36.4 -> 1.37.1 -> 1.38.x -> 1.39.0"),  # nobody knows a 1.38 here
        ("1.32.3", "1.35.0", "1.32.3 -> 1.33.x -> 1.34.9 -> 1.35.0"),
    ],
)
def test_a_skipped_minor_is_refused_with_the_way_to_take(current: str, target: str, way: str) -> None:
    reason = refusal(Version.parse(current), Version.parse(target), KNOWN)
    assert reason is not None
    assert "no minor may be skipped" in reason
    assert f"go {way}, one after another" in reason


def test_two_minors_back_and_another_major_are_refused() -> None:
    reason = refusal(Version(1, 36, 4), Version(1, 34, 9), KNOWN)
    assert reason is not None
    assert "more than one minor older" in reason
    assert refusal(Version(1, 36, 4), Version(2, 0, 0), KNOWN) is not None


@given(versions, versions, st.sets(versions, max_size=6))
def test_the_named_way_has_every_minor_once(current: Version, target: Version, known: set[Version]) -> None:
    reason = refusal(current, target, known)
    assert (reason is None) == (abs(target.minor - current.minor) <= 1)
    if reason is not None and target > current:
        way = re.search(r"go (.*), one after another", reason)
        assert way is not None
        minors = [int(stop.split(".")[1]) for stop in way[1].split(" -> ")]
        assert minors == list(range(current.minor, target.minor + 1))


def test_every_part_of_kubernetes_is_known() -> None:
    assert skew.PARTS == ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
