"""`kube-endpoint`: who gets connections, as apiservers come and go and as planned work takes them out."""

import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from kbootstrap.components.endpoint import MOST_QUESTIONS, interval
from kbootstrap.model.cluster import Cluster, Host, Role
from tests.golden.sites import TOPOLOGIES
from tests.unit.components.endpoint_world import A, B, C, World, until

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="needs util-linux")

REFUSED = "000 Failed to connect"
SILENT = "000 Operation timed out after 700 milliseconds"
GONE = "000 Connection timed out after 1001 milliseconds"
ENDED = [
    f"--kill --no-header --tcp dst {B}:6443 and ( {ports} )"
    for ports in ("sport eq :1001 or sport eq :1002", "sport eq :1003")
]
"""What becomes of nginx's connections to B, two at once, and of nobody else's."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Three apiservers that are well, and an nginx that runs."""
    made = World(tmp_path)
    made.start_nginx()
    yield made
    made.stop()


def watched(world: World) -> World:
    """With a watcher that has asked everybody once."""
    world.start("watch", "1")
    until(lambda: {since for _, _, since in world.shown().values()} != {"-"})
    until(lambda: world.reloads() == 1)  # what nginx has started with was not known
    return world


def is_listed(world: World, wanted: str) -> None:
    until(lambda: world.listed() == wanted)


def rounds(world: World, count: int) -> None:
    """Everybody is asked so often."""
    asked = world.folder / "asked"
    before = len(asked.read_text().splitlines())
    until(lambda: len(asked.read_text().splitlines()) > before + count)


def test_before_anybody_has_asked_all_are_in(world: World) -> None:
    assert world.listed() == "11 12 13 | "
    assert world.shown()[A] == ("in", "not asked yet", "-")


def test_one_process_asks_all(world: World) -> None:
    watched(world)
    asked = (world.folder / "asked").read_text().splitlines()[0]
    assert asked.count("https://") == 3
    assert "--parallel" in asked
    assert "--max-time 1 " in asked
    assert "--cacert /etc/kubernetes/pki/ca.crt" in asked


def test_nothing_is_reloaded_while_nothing_changes(world: World) -> None:
    watched(world)
    rounds(world, 3)
    assert world.reloads() == 1


@pytest.mark.parametrize(("said", "reason"), [("500", "/readyz says 500"), (REFUSED, "Failed to connect")])
def test_an_apiserver_goes_and_comes_back(world: World, said: str, reason: str) -> None:
    watched(world)
    world.answers(B, said)
    is_listed(world, "11 13 | 12")
    assert world.shown()[B][:2] == ("unready", reason)
    until(lambda: world.reloads() == 2)
    world.answers(B)
    is_listed(world, "11 12 13 | ")
    until(lambda: world.states() == "in in in")
    until(lambda: world.reloads() == 3)


def test_one_silence_is_none(world: World) -> None:
    watched(world)
    world.answers_first(B, REFUSED)
    rounds(world, 2)
    assert world.states() == "in in in"


def test_a_moment_of_health_between_two_silences_does_not_count(world: World) -> None:
    watched(world)
    world.answers_first(B, REFUSED, "200", REFUSED)
    is_listed(world, "11 13 | 12")
    is_listed(world, "11 12 13 | ")


def test_two_silences_far_apart_are_none(world: World) -> None:
    watched(world)
    world.answers_first(B, REFUSED, "200", "200", REFUSED)
    rounds(world, 5)
    assert world.states() == "in in in"
    assert world.reloads() == 1


def test_all_stay_in_when_none_is_ready(world: World) -> None:
    watched(world)
    for address in (A, B, C):
        world.answers(address, "500")
    reason = "/readyz says 500; gets connections because no other is ready"
    until(lambda: world.shown()[A][:2] == ("in", reason))
    assert world.states() == "in in in"
    assert world.listed() == "11 12 13 | "
    world.answers(C)
    is_listed(world, "13 | 11 12")
    assert world.shown()[C][:2] == ("in", "ready")
    assert world.shown()[A][:2] == ("unready", "/readyz says 500")


def test_while_etcd_has_no_leader_only_the_dead_one_goes(world: World) -> None:
    watched(world)
    world.answers(A, SILENT)
    for address in (B, C):
        world.answers(address, "500")
    is_listed(world, "12 13 | 11")
    rounds(world, 4)
    assert world.states() == "unready in in"
    assert world.reloads() == 2


def test_when_all_are_silent_it_is_this_host_that_is_slow(world: World) -> None:
    watched(world)
    for address in (A, B, C):
        world.answers(address, SILENT)
    rounds(world, 4)
    assert world.states() == "in in in"
    world.answers(A)
    is_listed(world, "11 | 12 13")


def test_connections_to_a_host_that_is_gone_end_once(world: World) -> None:
    watched(world)
    world.answers(B, GONE)
    is_listed(world, "11 13 | 12")
    until(lambda: world.ended() == ENDED)
    rounds(world, 3)
    assert world.ended() == ENDED
    world.answers(B)
    until(lambda: world.states() == "in in in")
    world.answers(B, GONE)
    until(lambda: world.ended() == 2 * ENDED)


def test_a_host_that_goes_while_its_apiserver_is_out_is_noticed_too(world: World) -> None:
    watched(world)
    world.answers(B, "500")
    is_listed(world, "11 13 | 12")
    world.answers(B, GONE)
    until(lambda: world.ended() == ENDED)


@pytest.mark.parametrize("said", [REFUSED, SILENT, "500"], ids=["refused", "slow", "unready"])
def test_one_whose_host_is_there_keeps_its_connections(world: World, said: str) -> None:
    watched(world)
    world.answers(B, said)
    is_listed(world, "11 13 | 12")
    rounds(world, 3)
    assert world.ended() == []


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[World]:
    """Where an apiserver may not go on saying no for long."""
    world = World(tmp_path, times={"sick": 10})
    world.start_nginx()
    watched(world)
    yield world
    world.stop()


def test_connections_to_one_that_does_not_recover_end_once(strict: World) -> None:
    strict.answers(B, "500")
    until(lambda: strict.ended() == ENDED)
    rounds(strict, 3)
    assert strict.ended() == ENDED
    strict.answers(B)
    until(lambda: strict.states() == "in in in")
    strict.answers(B, "500")
    until(lambda: strict.ended() == 2 * ENDED)


def test_one_that_ends_keeps_its_connections(strict: World) -> None:
    strict.write(f"answers/{B}.ends", "")
    strict.answers(B, "500")
    is_listed(strict, "11 13 | 12")
    rounds(strict, 3)
    assert "exclude=shutdown" in (strict.folder / "asked").read_text()
    assert strict.ended() == []


def test_one_that_is_out_for_planned_work_keeps_its_connections(strict: World) -> None:
    assert strict.run("out", B, "60").returncode == 0
    strict.answers(B, "500")
    until(lambda: strict.shown()[B][1].endswith("/readyz says 500"))
    rounds(strict, 3)
    assert strict.ended() == []


def test_while_nobody_is_well_nobodys_connections_end(strict: World) -> None:
    strict.write(f"answers/{B}.ends", "")
    strict.answers(B, "500")
    is_listed(strict, "11 13 | 12")
    strict.answers(A, "500")
    strict.answers(C, "500")
    rounds(strict, 1)
    (strict.folder / f"answers/{B}.ends").unlink()
    rounds(strict, 3)
    assert strict.ended() == []


def test_a_host_that_is_cut_off_itself_ends_none(world: World) -> None:
    watched(world)
    for address in (A, B, C):
        world.answers(address, GONE)
    rounds(world, 4)
    assert (world.states(), world.ended()) == ("in in in", [])


def test_who_keeps_coming_and_going_must_be_well_for_longer(tmp_path: Path) -> None:
    world = World(tmp_path, times={"successes": 1, "revive": 30})
    world.start_nginx()
    watched(world)
    needed = []
    for _ in range(3):
        world.answers(B, "500")
        is_listed(world, "11 13 | 12")
        before = len((tmp_path / "asked").read_text().splitlines())
        world.answers(B)
        is_listed(world, "11 12 13 | ")
        needed.append(len((tmp_path / "asked").read_text().splitlines()) - before)
    world.stop()
    assert needed[0] < needed[1] < needed[2]


def test_a_list_that_nginx_refuses_leaves_the_old_one(world: World) -> None:
    watched(world)
    world.write("broken", "emerg: no")
    world.answers(B, "500")
    until(lambda: world.states() == "in unready in")
    is_listed(world, "11 12 13 | ")
    assert world.reloads() == 1
    done = world.run("out", A, "60")
    assert (done.returncode, done.stderr) == (1, f"kube-endpoint: {A} stays in: emerg: no\n")
    (world.folder / "broken").unlink()
    is_listed(world, "11 13 | 12")


def test_out_and_in(world: World) -> None:
    done = world.run("out", B, "60")
    assert (done.returncode, done.stdout) == (0, f"{B} is out, for 60 s at the most\n")
    assert world.listed() == "11 13 | 12"
    state, reason, since = world.shown()[B]
    assert state == "out"
    assert re.fullmatch(r"planned, for \d+ s more; not asked yet", reason)
    again = world.run("out", B, "90")
    assert again.returncode == 0
    assert world.reloads() == 1
    assert world.shown()[B][2] == since
    done = world.run("in", B, "10")
    assert (done.returncode, done.stdout) == (0, f"{B} is in\n")
    assert world.listed() == "11 12 13 | "
    assert world.run("in", B, "10").returncode == 0
    assert world.reloads() == 2


def test_out_waits_for_the_new_workers(world: World) -> None:
    world.write("delay", "0.5")
    began = time.monotonic()
    assert world.run("out", B, "60").returncode == 0
    assert time.monotonic() - began > 0.9  # curl's answer, and the new workers


def test_out_says_when_nginx_does_not_come(tmp_path: Path) -> None:
    world = World(tmp_path, times={"reload": 50})
    world.start_nginx()
    (tmp_path / "bin/nginx").write_text("#!/bin/sh\n")
    done = world.run("out", B, "60")
    world.stop()
    assert done.returncode == 1
    assert "nginx has not started new workers within" in done.stderr
    assert not (tmp_path / f"run/{B}.out").exists()


def test_the_last_one_stays_in(world: World) -> None:
    assert world.run("out", A, "60").returncode == 0
    world.answers(C, "500")
    done = world.run("out", B, "60")
    assert done.returncode == 1
    assert done.stderr == f"kube-endpoint: {B} stays in: no other apiserver is in and ready ({C}: /readyz says 500)\n"
    assert world.listed() == "12 13 | 11"


def test_an_only_one_stays_in(tmp_path: Path) -> None:
    world = World(tmp_path, addresses=(A,))
    done = world.run("out", A, "60")
    assert (done.returncode, "no other apiserver" in done.stderr) == (1, True)


def test_a_mark_ends_by_itself(world: World) -> None:
    watched(world)
    assert world.run("out", B, "1").returncode == 0
    assert world.listed() == "11 13 | 12"
    is_listed(world, "11 12 13 | ")
    until(lambda: world.states() == "in in in")
    assert not (world.folder / f"run/{B}.out").exists()


def test_what_is_out_stays_out_when_it_is_not_ready(world: World) -> None:
    watched(world)
    assert world.run("out", B, "60").returncode == 0
    world.answers(B, "500")
    until(lambda: "says 500" in world.shown()[B][1])
    done = world.run("in", B, "1")
    assert done.returncode == 1
    assert done.stderr == f"kube-endpoint: {B} is not in: no 3 good answers in a row within 1 s (/readyz says 500)\n"
    assert world.shown()[B][0] == "unready"
    world.answers(B)
    is_listed(world, "11 12 13 | ")


def test_in_wants_three_good_answers(world: World) -> None:
    world.run("out", B, "60")
    world.answers(B, "500")
    with world.start("in", B, "10") as process:
        time.sleep(0.3)
        assert process.poll() is None
        assert world.listed() == "11 13 | 12"
        (world.folder / "asked").unlink()
        world.answers(B)
        assert process.wait(timeout=10) == 0
    assert len((world.folder / "asked").read_text().splitlines()) >= 3


def test_a_ready_one_that_is_out_serves_before_one_that_is_not(world: World) -> None:
    watched(world)
    world.run("out", B, "60")
    for address in (A, C):
        world.answers(address, "500")
    is_listed(world, "12 | 11 13")


def test_two_at_once_wait_for_each_other(world: World) -> None:
    world.write("delay", "0.3")
    both = [world.start("out", address, "60") for address in (A, B)]
    codes = [process.wait(timeout=20) for process in both]
    assert codes == [0, 0]
    assert world.listed() == "13 | 11 12"
    third = world.run("out", C, "60")
    assert third.returncode == 1


def test_without_nginx_the_list_is_written(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert world.run("list").returncode == 0
    assert world.run("out", B, "60").returncode == 0
    assert (world.listed(), world.reloads()) == ("11 13 | 12", 0)


def test_nginx_that_starts_later_gets_the_list(world: World) -> None:
    watched(world)
    world.run("out", B, "60")
    assert world.run("list").returncode == 0
    assert world.listed() == "11 13 | 12"
    until(lambda: world.reloads() == 3)  # it is not known which list it has started with


def test_a_new_apiserver_is_in_the_list_after_a_reload(world: World) -> None:
    (world.folder / "servers").write_text((world.folder / "servers").read_text().replace(C, "198.18.0.14"))
    assert world.run("reload").returncode == 0
    assert world.listed() == "11 12 14 | "
    assert world.run("reload").returncode == 0
    assert world.reloads() == 2


@pytest.mark.parametrize("arguments", [(), ("out", A), ("out", A, "0"), ("in", A, "x"), ("watch", "0"), ("show", "x")])
def test_what_cannot_be_meant_is_refused(world: World, arguments: tuple[str, ...]) -> None:
    done = world.run(*arguments)
    assert done.returncode == 2
    assert "kube-endpoint out ADDRESS SECONDS" in done.stderr


def test_a_stranger_is_refused(world: World) -> None:
    done = world.run("out", "198.18.0.99", "60")
    assert done.returncode == 1
    assert "198.18.0.99 is no apiserver of this cluster" in done.stderr


def with_workers(count: int) -> Cluster:
    workers = tuple(
        Host(f"w{number}", IPv4Address("198.19.0.0") + number, frozenset({Role.WORKER})) for number in range(count)
    )
    return replace(TOPOLOGIES["local"], hosts=(*TOPOLOGIES["local"].control_planes, *workers))


@pytest.mark.parametrize(("workers", "seconds"), [(0, 1), (27, 1), (28, 2), (297, 10), (997, 34)])
def test_many_proxies_ask_less_often(workers: int, seconds: int) -> None:
    cluster = with_workers(workers)
    assert interval(cluster) == seconds
    assert (workers + 3) / interval(cluster) <= MOST_QUESTIONS


def test_with_a_vip_workers_do_not_count() -> None:
    assert interval(TOPOLOGIES["vip"]) == 1
