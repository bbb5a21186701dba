"""The checks' shell, really run: on what etcd 3.6.16 printed, and with stand-ins for the programs of a host."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from kbootstrap.checks.catalogue import CHECKS, ETCDCTL, KUBECTL, RAFT_ENTRIES_BEHIND, Scope
from kbootstrap.checks.check import Check
from kbootstrap.facts.boot import BOOT_ID
from kbootstrap.model.cluster import Cluster
from tests.golden.sites import TOPOLOGIES
from tests.golden.test_tools import needs
from tests.local_host import api_says, shell

HEALTH = """\
http://127.0.0.1:23793 is healthy: successfully committed proposal: took = 10.491995ms
http://127.0.0.1:23792 is healthy: successfully committed proposal: took = 12.723131ms
http://127.0.0.1:23791 is healthy: successfully committed proposal: took = 3.135389ms
"""
THREE = """\
http://127.0.0.1:23792, 2943212f5e2cf73, 3.6.16, 3.6.0, 20 kB, 16 kB, 20%, 2.1 GB, false, false, 2, 11, 11, , , false
http://127.0.0.1:23793, 3760a4ec3b84f7fa, 3.6.16, 3.6.0, 20 kB, 16 kB, 20%, 2.1 GB, false, false, 2, 11, 11, , , false
http://127.0.0.1:23791, bdae9bbc11dd390d, 3.6.16, 3.6.0, 25 kB, 16 kB, 34%, 2.1 GB, true, false, 2, 11, 11, , , false
"""
WITH_A_LEARNER = """\
http://[::1]:23792, 2943212f5e2cf73, 3.6.16, 3.6.0, 299 kB, 274 kB, 9%, 2.1 GB, false, false, 2, 246, 246, , , false
http://[::1]:23794, 30998cd2c07cd489, 3.6.16, 3.6.0, 287 kB, 274 kB, 5%, 2.1 GB, false, true, 2, 246, 246, , , false
http://[::1]:23793, 3760a4ec3b84f7fa, 3.6.16, 3.6.0, 287 kB, 274 kB, 5%, 2.1 GB, false, false, 2, 246, 246, , , false
http://[::1]:23791, bdae9bbc11dd390d, 3.6.16, 3.6.0, 287 kB, 274 kB, 5%, 2.1 GB, true, false, 2, 246, 246, , , false
"""
ONE_DOES_NOT_ANSWER = """\
http://127.0.0.1:23792, 2943212f5e2cf73, 3.6.16, 3.6.0, 299 kB, 283 kB, 6%, 2.1 GB, false, false, 2, 247, 247, , , false
http://127.0.0.1:23791, bdae9bbc11dd390d, 3.6.16, 3.6.0, 287 kB, 283 kB, 2%, 2.1 GB, true, false, 2, 251, 251, , , false
"""
OF_ETCD_3_5 = """\
http://127.0.0.1:23792, 2943212f5e2cf73, 3.5.26, 20 kB, false, false, 2, 11, 11,
"""


def check(name: str, cluster: Cluster, host: str) -> Check:
    return CHECKS[name](Scope(cluster, cluster.host(host), cluster.hosts))


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder for stand-ins."""
    return tmp_path


def stand_in(folder: Path, name: str, text: str) -> str:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{text}")
    file.chmod(0o755)
    return str(file)


def in_step(folder: Path, status: str, *, healthy: bool = True, members: int = 3) -> tuple[bool, str]:
    """What `etcd-in-step` says, once, where etcdctl prints this."""
    (folder / "health").write_text(HEALTH)
    (folder / "status").write_text(status)
    text = (
        f'case "$*" in *health*) cat "{folder}/health"; exit {0 if healthy else 1} ;; *) cat "{folder}/status" ;; esac'
    )
    vip = TOPOLOGIES["vip"]
    keep = {"cp1", "cp2", "cp3"} if members == 3 else {"cp1"}
    cluster = replace(vip, hosts=tuple(host for host in vip.hosts if host.name in keep))
    probe = check("etcd-in-step", cluster, "cp1").probe
    assert ETCDCTL in probe
    result = shell(probe.replace(ETCDCTL, stand_in(folder, "etcdctl", text)))
    return result.ok, result.text.removeprefix(HEALTH.strip()).strip()


def lagging(entries: int) -> str:
    """The second member has applied so many entries less than the others, of indices with many digits."""
    first, second, third = THREE.replace("11, 11", "1000000011, 1000000011").splitlines()
    return "\n".join((first, second.replace("1000000011, ,", f"{1000000011 - entries}, ,"), third)) + "\n"


def test_members_in_step(programs: Path) -> None:
    assert in_step(programs, THREE) == (True, "")
    assert in_step(programs, THREE.splitlines()[2] + "\n", members=1) == (True, "")


def test_a_small_lag_is_only_the_time_between_two_questions(programs: Path) -> None:
    assert in_step(programs, lagging(RAFT_ENTRIES_BEHIND)) == (True, "")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (lagging(RAFT_ENTRIES_BEHIND + 1), "3 of 3 members, 0 learners, 1001 raft entries apart"),
        (WITH_A_LEARNER, "4 of 3 members, 1 learners, 0 raft entries apart"),
        (WITH_A_LEARNER.split("\n", 1)[1], "3 of 3 members, 1 learners, 0 raft entries apart"),
        (ONE_DOES_NOT_ANSWER, "2 of 3 members, 0 learners, 4 raft entries apart"),
        (OF_ETCD_3_5, "0 of 3 members, 0 learners, 0 raft entries apart"),
        ("", "0 of 3 members, 0 learners, 0 raft entries apart"),
    ],
)
def test_members_out_of_step(status: str, said: str, programs: Path) -> None:
    assert in_step(programs, status) == (False, said)


def test_an_unhealthy_member_is_enough(programs: Path) -> None:
    assert not in_step(programs, THREE, healthy=False)[0]


@pytest.mark.parametrize(
    ("said", "ready"),
    [
        ("v1.36.4 True", True),
        ("v1.36.4 False", False),
        ("v1.36.4 Unknown", False),
        ("v1.36.3 True", False),
        ("v1.36.40 True", False),
        ("", False),
    ],
)
def test_a_node_is_ready_with_its_version(said: str, ready: bool, programs: Path) -> None:
    probe = check("node-ready", TOPOLOGIES["vip"], "w1").probe
    assert f"{KUBECTL} get node w1 " in probe
    result = shell(probe.replace(KUBECTL, stand_in(programs, "kubectl", f"echo '{said}'")))
    assert (result.ok, result.text) == (ready, said)


@pytest.mark.parametrize(
    ("answers", "led"),
    [
        (["09:00.1 09:00.2", "09:02.1 09:02.2"], True),
        (["09:00.1 09:00.2", "09:00.1 09:00.2", "09:00.1 09:01.2", "09:02.1 09:01.2"], True),
        (["09:00.1 09:00.2"], False),
        (["09:00.1 09:00.2", "09:02.1 09:00.2"], False),
        (["09:00.1 09:00.2", "09:00.1 09:02.2"], False),
    ],
)
def test_who_leads_renews_its_lease(answers: list[str], led: bool, programs: Path) -> None:
    """The last answer is given again and again."""
    for number, answer in enumerate(answers, start=1):
        (programs / f"{number}").write_text(answer)
    text = (
        f"cd {programs}; tries=$(($(cat tries 2>/dev/null || echo 0) + 1)); echo $tries >tries\n"
        f'[ -e "$tries" ] || tries={len(answers)}; cat "$tries"'
    )
    probe = check("controllers-led", TOPOLOGIES["vip"], "cp1").probe
    patience = f"remaining() {{ [ $(cat {programs}/tries) -lt 6 ] && echo 9 || echo 1; }}; sleep() {{ :; }}\n"
    result = shell(patience + probe.replace(KUBECTL, stand_in(programs, "kubectl", text)))
    assert result.ok is led
    assert led or result.text == "not renewed since 09:00.1 09:00.2"


@pytest.mark.parametrize(
    ("answer", "known"),
    [
        ('{"status":{"nodeInfo":{"machineID":"m","bootID":"%s"}}}', True),
        ('{"status":{"nodeInfo":{"machineID":"m","bootID":"8d2183ce-8ba0-4d5c-b7a4-3f8e1a4c1f2e"}}}', False),
        ('{"kind":"Status","code":404}', False),
        ("", False),
    ],
)
def test_a_node_may_be_ready_from_before_its_boot(answer: str, known: bool) -> None:
    boot = Path(BOOT_ID).read_text().strip()
    result = shell(api_says(answer.replace("%s", boot)) + check("boot-known", TOPOLOGIES["vip"], "w1").probe)
    assert result.ok is known
    assert known or result.text == f"the API knows nothing of the boot {boot}"


def test_a_node_that_nobody_knows_is_not_ready(programs: Path) -> None:
    probe = check("node-ready", TOPOLOGIES["vip"], "w1").probe
    assert not shell(probe.replace(KUBECTL, stand_in(programs, "kubectl", "echo NotFound >&2; exit 1"))).ok


@pytest.mark.parametrize(("runs", "ready", "well"), [(True, True, True), (True, False, False), (False, False, True)])
def test_an_apiserver_that_does_not_run_is_for_the_rollout_to_mend(runs: bool, ready: bool, well: bool) -> None:
    """One that runs and is not ready must be looked at first."""
    fakes = f"systemctl() {{ [ {int(runs)} = 1 ]; }}; curl() {{ [ {int(ready)} = 1 ]; }}\n"
    for name, expected in (("apiserver-well", well), ("apiserver-ready", ready)):
        assert shell(fakes + check(name, TOPOLOGIES["vip"], "cp1").probe).ok == expected


def test_who_is_asked() -> None:
    """The member itself, and for others any member; nodes are asked of the control plane."""
    external, vip = TOPOLOGIES["external-etcd"], TOPOLOGIES["vip"]
    assert check("etcd-in-step", vip, "cp2").asked[0] == "cp2"
    assert check("etcd-in-step", external, "cp1").asked == ("etcd1", "etcd2", "etcd3")
    assert check("node-ready", vip, "w1").asked == ("cp1", "cp2", "cp3")
    assert check("apiserver-ready", vip, "cp2").asked == ()


def test_what_is_asked_of_the_host_itself_names_it() -> None:
    vip = TOPOLOGIES["vip"]
    assert "https://198.18.0.12:6443/readyz" in check("apiserver-ready", vip, "cp2").probe
    assert "https://198.18.0.100:6443/readyz" in check("endpoint-ready", vip, "cp2").probe
    limited = CHECKS["nodes-ready"](Scope(vip, vip.host("cp1"), (vip.host("cp1"), vip.host("w1"))))
    assert set(re.findall(r"node/(\w+)", limited.probe)) == {"cp1", "w1"}


@needs("shellcheck")
def test_shellcheck_accepts_every_check(tmp_path: Path) -> None:
    """In one file, each in a subshell; and it would find fault with a wrong one."""
    scripts = {
        check(name, cluster, cluster.hosts[0].name).script()
        for cluster in (TOPOLOGIES["vip"], TOPOLOGIES["external-etcd"])
        for name in CHECKS
    }
    assert len(scripts) > len(CHECKS)
    assert shellcheck(tmp_path, scripts) == ""
    assert "SC2046" in shellcheck(tmp_path, {Check("wrong", "test $(cat /x) = y", 1).script()})


def shellcheck(folder: Path, scripts: set[str]) -> str:
    """What it has to say."""
    file = folder / "all.sh"
    file.write_text("#!/bin/sh\n" + "".join(f"(\n{script})\n" for script in sorted(scripts)))
    command = ["shellcheck", "--format=gcc", "--severity=warning", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
