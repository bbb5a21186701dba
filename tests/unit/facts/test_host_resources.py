"""Ports, disks, services and neighbours: real output of real hosts, and this machine."""

import os
import socket
import time
from ipaddress import IPv4Address
from pathlib import Path, PurePosixPath

import pytest

from kbootstrap.facts.disks import UNKNOWN, DiskSpace, Space
from kbootstrap.facts.identity import Identity
from kbootstrap.facts.neighbours import Neighbour
from kbootstrap.facts.ports import PODS, Listener, Listeners
from kbootstrap.facts.services import RunningServices, Service
from kbootstrap.facts.sysctls import SysctlValue
from kbootstrap.facts.units import UnitState, inputs_digest
from tests.local_host import read_here, shell

SS = b"""\
udp UNCONN 0      0           0.0.0.0:8472  0.0.0.0:*
udp UNCONN 0      0     127.0.0.53%lo:53    0.0.0.0:*    users:(("systemd-resolve",pid=611,fd=13))
tcp LISTEN 0      4096      127.0.0.1:10257 0.0.0.0:* users:(("kube-controller",pid=1781,fd=5))
tcp LISTEN 0      511   198.18.7.100:6443  0.0.0.0:* users:(("nginx",pid=2056,fd=4),("nginx",pid=2048,fd=4))
tcp LISTEN 0      128            [::]:22       [::]:* users:(("sshd",pid=58,fd=4))
tcp LISTEN 0      4096              *:10250       *:* users:(("kubelet",pid=2262,fd=22))
tcp LISTEN 0      511         0.0.0.0:8080  0.0.0.0:* users:(("my app",pid=4711,fd=3))
/proc/1781/cgroup:9:name=systemd:/system.slice/kube-controller-manager.service
/proc/1781/cgroup:0::/system.slice/kube-controller-manager.service
/proc/2056/cgroup:0::/machine.slice/lab.service/payload/system.slice/kube-endpoint-nginx.service
/proc/58/cgroup:0::/system.slice/ssh.service
/proc/2262/cgroup:0::/system.slice/kubelet.service
/proc/4711/cgroup:0::/kubepods.slice/kubepods-pod12.slice/cri-containerd-34.scope
"""


def test_listeners_know_their_process_and_unit() -> None:
    found = Listeners().value(SS)
    assert Listener("tcp", "198.18.7.100", 6443, "nginx", 2056, "kube-endpoint-nginx.service") in found
    assert Listener("tcp", "::", 22, "sshd", 58, "ssh.service") in found
    assert Listener("tcp", "*", 10250, "kubelet", 2262, "kubelet.service") in found
    assert Listener("udp", "127.0.0.53", 53, "systemd-resolve", 611, "") in found


def test_the_kernel_and_pods_are_told_apart() -> None:
    by_port = {listener.port: listener for listener in Listeners().value(SS)}
    assert (by_port[8472].process, by_port[8472].pid) == ("", 0)
    assert (by_port[8080].process, by_port[8080].unit) == ("my app", PODS)


def test_no_ss_no_listeners() -> None:
    assert Listeners().value(b"") == ()


def test_a_real_listener_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = read_here(Listeners())[Listeners()]
        assert server.getsockname()[1] in {listener.port for listener in found if listener.protocol == "tcp"}


OPT, ETCD = DiskSpace(PurePosixPath("/opt/kbootstrap")), DiskSpace(PurePosixPath("/var/lib/etcd"))

DF = b"""\
occupied /var/lib/etcd
    1B-blocks       Avail   Inodes    IFree Mounted on
270553174016 48509882368 16777216 15890905 /
  5055303680  5055131648        0        0 /var/lib/etcd
ro /run/host
ro /var/lib/etcd
"""


def test_space_is_that_of_the_file_system_below() -> None:
    seen = DiskSpace.parse((OPT, ETCD), DF)
    assert seen[OPT] == Space("/", 270553174016, 48509882368, 15890905, read_only=False, occupied=False)
    assert seen[ETCD] == Space("/var/lib/etcd", 5055303680, 5055131648, None, read_only=True, occupied=True)


def test_unreadable_space_is_unknown() -> None:
    assert DiskSpace.parse((OPT, ETCD), b"occupied /var/lib/etcd\n") == {OPT: UNKNOWN, ETCD: UNKNOWN}


def test_space_here(tmp_path: Path) -> None:
    there, empty = tmp_path / "some thing", tmp_path / "empty"
    there.mkdir()
    empty.mkdir()
    (there / "file").touch()
    facts = [DiskSpace(PurePosixPath(path)) for path in (there, empty, tmp_path / "not/yet/there")]
    seen = read_here(*facts)
    assert [seen[fact].occupied for fact in facts] == [True, False, False]
    assert all(seen[fact].free_bytes > 0 for fact in facts)
    assert len({seen[fact].mount for fact in facts}) == 1


SHOWN = b"""\
ExecStart={ path=/opt/kbootstrap/kubelet/current/kubelet ; argv[]=... ; pid=0 ; status=0/0 }
Id=kubelet.service
ActiveState=active
FragmentPath=/etc/systemd/system/kubelet.service
DropInPaths=

ExecStart={ path=/usr/sbin/nginx ; argv[]=/usr/sbin/nginx -g daemon on; master_process on; ; pid=0 }
Id=nginx.service
ActiveState=active
FragmentPath=/lib/systemd/system/nginx.service
DropInPaths=

ExecStart={ path=/usr/bin/containerd ; argv[]=/usr/bin/containerd ; pid=0 }
Id=containerd.service
ActiveState=activating
FragmentPath=/lib/systemd/system/containerd.service
DropInPaths=

Id=k3s.service
ActiveState=inactive
FragmentPath=
DropInPaths=


stamps
containerd.service
journald.conf
"""


def test_services_are_ours_by_their_program_or_their_stamp() -> None:
    assert RunningServices(("some",)).value(SHOWN) == (
        Service("kubelet.service", ours=True),
        Service("nginx.service", ours=False),
        Service("containerd.service", ours=True),
    )


def test_without_systemd_nothing_runs() -> None:
    assert RunningServices(("some",)).value(b"\n\nstamps\n") == ()


NEIGHBOUR = Neighbour(IPv4Address("198.18.7.100"), PurePosixPath("/nowhere"))


@pytest.mark.parametrize(
    ("shown", "answer"),
    [
        (b"198.18.7.100 dev eth0 lladdr 06:9b:10:59:5c:49 REACHABLE \n", "06:9b:10:59:5c:49"),
        (b"198.18.7.100 dev eth0 lladdr 06:9b:10:59:5c:49 STALE \n", "06:9b:10:59:5c:49"),
        (b"198.18.7.100 dev eth0  INCOMPLETE \n", None),
        (b"198.18.7.100 dev eth0  FAILED \n", None),
        (b"", None),
    ],
)
def test_who_answers_for_an_address(shown: bytes, answer: str | None) -> None:
    assert NEIGHBOUR.value(shown) == answer


def test_an_own_address_is_nobody_elses() -> None:
    result = shell(Neighbour(IPv4Address("127.0.0.1"), PurePosixPath("/nowhere")).command)
    assert (result.exit_code, result.text) == (0, "")


def test_this_machine_says_who_it_is() -> None:
    here = read_here(Identity())[Identity()]
    assert (here.hostname, here.kernel, here.arch) == tuple(os.uname()[number] for number in (1, 2, 4))
    assert here.cpus == len(os.sched_getaffinity(0))
    assert here.memory_bytes == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert abs(here.clock - time.time()) < 5
    assert {"tar", "curl"}.isdisjoint(here.missing_tools)


def test_kernel_parameters_here() -> None:
    facts = [SysctlValue("kernel.ostype"), SysctlValue("kernel.hostname"), SysctlValue("no.such")]
    ostype, hostname, missing = (read_here(*facts)[fact] for fact in facts)
    assert missing is None
    assert ostype is None  # read-only
    assert hostname in (None, socket.gethostname())


def test_a_stamp_is_taken_as_it_is_read(tmp_path: Path) -> None:
    """What is noted before a start, in shell, and what is compared with it, from what was read."""
    file, link, folder = (PurePosixPath(tmp_path / name) for name in ("a file", "link", "folder"))
    Path(file).write_text("content")
    Path(link).symlink_to("../1.36.4")
    Path(folder).mkdir()
    units = [
        UnitState("none.service"),
        UnitState("all.service", (link, file, PurePosixPath("/not/there"), folder)),
        UnitState("file.service", (file,)),
    ]
    systemctl = "systemctl() { printf 'Id=a\\nLoadState=loaded\\n\\nId=b\\n\\nId=c\\n'; }\n"
    read = UnitState.parse(units, shell(systemctl + UnitState.script(units)).stdout)
    assert [status.loaded for status in read.values()] == [True, False, False]
    for unit, status in read.items():
        assert status.inputs == shell(inputs_digest(unit.inputs)).text
    assert len({status.inputs for status in read.values()}) == 3


def test_the_stamp_of_a_unit() -> None:
    units = [UnitState("etcd.service"), UnitState("kubelet.service")]
    output = b"LoadState=loaded\n\nLoadState=not-found\n\n\nstamps\netcd.service:abc\n"
    assert [status.stamp for status in UnitState.parse(units, output).values()] == ["abc", ""]
