"""Reset: which steps there are, that they are shell, and that deleting stops where it must."""

from pathlib import Path, PurePosixPath

import pytest

from kbootstrap.engine.plan import host_steps, needs
from kbootstrap.engine.selectors import limited
from kbootstrap.errors import InvalidInput
from kbootstrap.facts.guard import Guard
from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.model.settings import Endpoint, HostPreparation, Settings
from kbootstrap.steps.command import Command
from kbootstrap.steps.step import Step
from kbootstrap.workflows.footprint import ALL_UNITS, units
from kbootstrap.workflows.playbooks import builtin
from kbootstrap.workflows.removal import PHASES, Removal, concerned, emptied
from tests.golden.sites import TOPOLOGIES
from tests.local_host import due, make, shell
from tests.unit.workflows.hosts import VIP, cluster

CLUSTER = cluster(Settings(endpoint=Endpoint(vip=VIP), host=HostPreparation(swap="disable")))
EVERYTHING = Removal(kept=PurePosixPath("/var/backups/kbootstrap/run"), packages=True)


def steps(removal: Removal = EVERYTHING, of: Cluster = CLUSTER, name: str = "cp1") -> list[Step]:
    return [step for phase in PHASES.values() for step in phase(of, of.host(name), removal)]


def commands(of: Cluster = CLUSTER, name: str = "cp1") -> list[Command]:
    return [step for step in steps(EVERYTHING, of, name) if isinstance(step, Command)]


FORWARDING = [command for command in commands(TOPOLOGIES["lvs-dr"], "lb1") if "forward" in command.title]


def test_the_playbook_and_the_steps_know_the_same_phases() -> None:
    assert [phase.phase for phase in builtin("reset").phases] == list(PHASES)


def test_every_unit_that_is_installed_is_stopped() -> None:
    for host in CLUSTER.hosts:
        assert set(units(CLUSTER, host)) <= set(ALL_UNITS)


@pytest.mark.parametrize("command", [*commands(), *FORWARDING], ids=lambda command: command.title)
def test_scripts_and_guards_are_shell(command: Command) -> None:
    for text in (command.script, Guard.script([Guard(command.unless)])):
        result = shell(text, "-n")
        assert result.ok, f"{text}\n{result.errors}"


def test_the_question_whether_a_host_is_ours_is_shell() -> None:
    for removal in (EVERYTHING, Removal()):
        assert shell(concerned(removal).command, "-n").ok


def test_nftables_that_are_not_ours_stay(tmp_path: Path) -> None:
    [command] = [command for command in commands() if "nftables" in command.title]
    deleted = tmp_path / "deleted"
    ours = ("kube-proxy", "kbootstrap-lvs", "kbootstrap-handover")
    shown = "".join(f"table ip {name}\\n" for name in (*ours, "kbootstrap-handover-of-others", "filter"))
    nft = f"nft() {{ case $1 in list) printf '{shown}' ;; delete) echo \"$4\" >>{deleted} ;; esac; }}\n"
    assert not shell(nft + command.unless).ok
    assert shell(nft + command.script).ok
    assert deleted.read_text().split() == list(ours)


def test_a_director_forwards_no_longer() -> None:
    """Only where the API's service is in the table."""
    [command] = FORWARDING
    assert command.script == "ipvsadm --delete-service --tcp-service 198.18.0.100:6443"
    for service, there in (("198.18.0.100:6443", True), ("198.18.0.100:64430", False), ("198.18.0.200:80", False)):
        table = f"ipvsadm() {{ echo '-A -t {service} -s wlc'; }}\n"
        guard = command.unless.replace("/proc/net/ip_vs", "/proc/self")
        assert shell(table + guard).ok is not there
    assert not [one for one in commands(TOPOLOGIES["lvs-dr"], "cp1") if "forward" in one.title]


def test_data_are_kept_only_when_asked() -> None:
    titles = [step.title for step in steps(Removal()) if isinstance(step, Command)]
    assert not any("aside" in title or "packages" in title for title in titles)
    kept = [step.title for step in steps() if isinstance(step, Command)]
    assert "put etcd's data, the keys and the backups aside, in /var/backups/kbootstrap/run" in kept
    assert kept.index("delete the data") > kept.index(
        "put etcd's data, the keys and the backups aside, in /var/backups/kbootstrap/run"
    )


def test_what_is_needed_is_read_at_once() -> None:
    wanted = host_steps(builtin("reset"), lambda phase: PHASES[phase.phase](CLUSTER, CLUSTER.host("w1"), Removal()))
    assert len(needs(wanted)) >= len(PHASES)


def test_folders_areemptied_and_a_second_time_there_is_nothing_to_do(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    ours, missing = tmp_path / "our own", tmp_path / "missing"
    (ours / "deep" / "er").mkdir(parents=True)
    (ours / "deep" / "file").touch()
    (ours / "link").symlink_to(outside)
    step = emptied("delete", (PurePosixPath(ours), PurePosixPath(missing)))
    make(step)
    assert not ours.exists()
    assert (outside / "precious").exists()
    assert due(step) is None


def test_an_empty_folder_goes_too(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    make(emptied("delete", (PurePosixPath(empty),)))
    assert not empty.exists()


def names(hosts: tuple[Host, ...]) -> list[str]:
    return [host.name for host in hosts]


def test_hosts_are_limited_by_name_and_role() -> None:
    assert names(limited(CLUSTER, [])) == ["cp1", "cp2", "cp3", "w1"]
    assert names(limited(CLUSTER, ["worker", "cp2"])) == ["cp2", "w1"]
    with pytest.raises(InvalidInput, match="w9"):
        limited(CLUSTER, ["w9"])
