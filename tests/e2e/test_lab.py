"""The lab itself, for real: what it makes, what it leaves behind (nothing), and what a crash does to it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from kbootstrap.errors import LabError
from kbootstrap.lab.lab import Lab
from kbootstrap.lab.spec import HostSpec, LabSpec, standard

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="a lab needs root"),
]

SUBNET = IPv4Network("198.19.77.0/24")
NAME = "t-lab"


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A lab's name, with nothing of it on the machine before and after."""
    lab = Lab(NAME)
    lab.down()
    yield lab
    lab.down()
    assert footprint() == []


def pair() -> LabSpec:
    return standard(name=NAME, subnet=SUBNET, control_planes=1, workers=1)


def footprint() -> list[str]:
    """Everything on this machine that carries the lab's name, without asking the lab."""
    commands = ("ip -o link", "ip netns list", "cat /proc/self/mountinfo", "ls /run/lock /run/systemd/nspawn")
    lines = [line for command in commands for line in output(command).splitlines()]
    folders = [*Path("/var/lib/kbootstrap-lab").glob("*"), *Path("/root/.cache/kbootstrap/lab").glob("*")]
    lines += map(str, folders)
    lines += [folder for folder, _, _ in os.walk("/sys/fs/cgroup")]
    lines += [f"process {pid} {text}" for pid, text in environments()]
    return [line for line in lines if NAME in line]


def environments() -> Iterator[tuple[str, str]]:
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            text = path.read_text(errors="replace")
        except OSError:
            continue
        if f"LAB_MACHINE={NAME}" in text:
            yield path.parent.name, text


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """So long may it take on a machine that does nothing else; longer on one that is busy when it begins."""
    busy = max(1, os.getloadavg()[0] / (os.cpu_count() or 1))
    start = time.monotonic()
    yield
    assert time.monotonic() - start < seconds * busy


def output(command: str) -> str:
    return subprocess.run(command.split(), capture_output=True, text=True, check=False).stdout


def ssh(lab: Lab, host: str, command: str) -> str:
    """Standard output of a command on a host, by OpenSSH with strict host key checking."""
    return subprocess.run(
        ["ssh", "-F", str(lab.ssh_config), "-o", "BatchMode=yes", host, command],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout.strip()


def burnt(lab: Lab, host: str) -> float:
    """How many processors a host uses that would use all."""
    burn = "for each in $(seq $(nproc)); do timeout 2 sh -c 'while :; do :; done' & done; wait"
    return sum(map(float, ssh(lab, host, f'TIMEFORMAT="%U %S"; {{ time ({burn}); }} 2>&1').split())) / 2


def boot_id(lab: Lab, host: str) -> str:
    return ssh(lab, host, "cat /proc/sys/kernel/random/boot_id")


def killed_after(seconds: float, statement: str) -> None:
    """Run a statement in a process of its own, and kill -9 that after so many seconds."""
    code = (
        "from kbootstrap.lab.lab import Lab\nfrom kbootstrap.lab.spec import LabSpec\n"
        f"spec = LabSpec.model_validate_json({pair().model_dump_json()!r})\n"
        f"print('ready', flush=True)\n{statement}\nprint('done', flush=True)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_hosts_are_bare_machines_with_what_kubernetes_needs(lab: Lab) -> None:
    Lab.up(pair())
    for host in lab.spec.hosts:
        assert ssh(lab, host, "systemctl is-system-running --wait") == "running"
        assert ssh(lab, host, "hostname") == host
        assert ssh(lab, host, "stat -f -c %T /var/lib/containerd /var/lib/kubelet").split() == ["ext2/ext3"] * 2
        assert ssh(lab, host, "findmnt -n -o PROPAGATION /") == "shared"
        assert ssh(lab, host, "test -c /dev/kmsg && modprobe overlay && modprobe br_netfilter && echo fine") == "fine"
        ssh(lab, host, "ip link add vx0 type vxlan id 7 dev eth0 dstport 8472 && ip link del vx0")
        ssh(lab, host, "nft add table inet t && nft delete table inet t")
        ssh(lab, host, "unshare --pid --fork --mount --net --mount-proc true")
        ssh(lab, host, "for c in /sys/fs/cgroup/*/; do mkdir $c/probe && rmdir $c/probe || exit 1; done")
        assert ssh(lab, host, "which containerd nginx keepalived kubelet || echo none") == "none"
    assert burnt(lab, "w1") < max((os.cpu_count() or 1) // 2, 1) * 1.2
    machine_ids = {ssh(lab, host, "cat /etc/machine-id") for host in lab.spec.hosts}
    assert len(machine_ids) == len(lab.spec.hosts)
    assert Path("/proc/sys/net/ipv4/ip_forward").read_text() == "0\n"


def test_overlay_mounts_work_below_containerds_folder(lab: Lab) -> None:
    Lab.up(pair())
    ssh(
        lab,
        "w1",
        "cd /var/lib/containerd && mkdir l u w m && mount -t overlay -o lowerdir=l,upperdir=u,workdir=w o m"
        " && touch m/x && umount m && test -e u/x",
    )


def test_host_keys_are_checked(lab: Lab) -> None:
    Lab.up(pair())
    key = "/etc/ssh/ssh_host_ed25519_key"
    ssh(lab, "w1", f"rm {key} && ssh-keygen -q -t ed25519 -N '' -f {key} && systemctl restart ssh")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        ssh(lab, "w1", "true")
    assert "IDENTIFICATION HAS CHANGED" in refused.value.stderr


def test_second_up_changes_nothing_at_once(lab: Lab) -> None:
    Lab.up(pair())
    before = [boot_id(lab, host) for host in lab.spec.hosts]
    with within(0.5):
        Lab.up(pair())
    assert [boot_id(lab, host) for host in lab.spec.hosts] == before


def test_up_adds_hosts_but_does_not_change_them(lab: Lab) -> None:
    Lab.up(pair())
    before = boot_id(lab, "cp1")
    Lab.up(standard(name=NAME, subnet=SUBNET, control_planes=1, workers=2))
    assert ssh(lab, "w2", "hostname") == "w2"
    assert boot_id(lab, "cp1") == before
    with pytest.raises(LabError, match="w2 would change or go"):
        Lab.up(pair())


def test_power_off_is_sudden_and_power_on_boots_again(lab: Lab) -> None:
    Lab.up(pair())
    before = boot_id(lab, "w1")
    ssh(lab, "w1", "ip address add 198.19.77.100/24 dev eth0; echo kept > /root/kept; sync")
    with within(1):
        lab.power_off("w1")
    assert {host.name: (host.on, host.ssh) for host in lab.status()} == {"cp1": (True, True), "w1": (False, False)}
    for address in ("198.19.77.21", "198.19.77.100"):
        assert not answers_arp(lab, "cp1", address)
    lab.power_off("w1")  # again: nothing happens

    lab.power_on("w1")
    lab.wait_ssh()
    assert answers_arp(lab, "cp1", "198.19.77.21")
    assert not answers_arp(lab, "cp1", "198.19.77.100")  # an address that was only set, as after a real boot
    assert ssh(lab, "w1", "cat /root/kept") == "kept"
    assert boot_id(lab, "w1") != before


def answers_arp(lab: Lab, asker: str, address: str) -> bool:
    probe = f"ip neigh flush dev eth0; timeout 1 bash -c '</dev/tcp/{address}/9' 2>/dev/null; ip neigh show {address}"
    return "lladdr" in ssh(lab, asker, probe)


def test_a_host_can_reboot_and_power_itself_off(lab: Lab) -> None:
    Lab.up(pair())
    before = boot_id(lab, "w1")
    subprocess.run(["ssh", "-F", lab.ssh_config, "w1", "systemctl reboot"], capture_output=True, check=False)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if boot_id(lab, "w1") != before:
                break
        except subprocess.SubprocessError:
            time.sleep(0.2)
    assert boot_id(lab, "w1") != before
    assert ssh(lab, "w1", "systemctl is-system-running --wait") == "running"

    subprocess.run(["ssh", "-F", lab.ssh_config, "w1", "systemctl poweroff"], capture_output=True, check=False)
    while any(host.on for host in lab.status() if host.name == "w1"):
        assert time.monotonic() < deadline + 20
    Lab.up(pair())
    assert boot_id(lab, "w1") != before


def test_users_ports_and_jump_hosts(lab: Lab) -> None:
    hosts = {
        "gate": HostSpec(address=SUBNET[11], login="admin", ssh_port=2222),
        "far": HostSpec(address=SUBNET[12], login="deploy", jump="gate"),
    }
    Lab.up(LabSpec(name=NAME, subnet=SUBNET, hosts=hosts))
    assert ssh(lab, "gate", "whoami; sudo -n whoami").split() == ["admin", "root"]
    assert ssh(lab, "far", "whoami; sudo -n true 2>/dev/null; echo deploy | sudo -S whoami").split() == [
        "deploy",
        "root",
    ]
    with pytest.raises(TimeoutError):
        socket.create_connection((str(SUBNET[12]), 22), timeout=1)


@pytest.mark.parametrize("seconds", [0.05, 0.15, 0.3, 0.6, 1.2])
def test_up_killed_halfway_can_be_finished_or_taken_down(lab: Lab, seconds: float) -> None:
    killed_after(seconds, "Lab.up(spec)")
    Lab.up(pair())
    assert all(host.ssh for host in lab.status())
    assert ssh(lab, "w1", "systemctl is-system-running --wait") == "running"

    lab.down()
    killed_after(seconds, "Lab.up(spec)")
    lab.down()
    assert footprint() == []


@pytest.mark.parametrize("seconds", [0.02, 0.1, 0.2, 0.4])
def test_down_killed_halfway_can_be_finished(lab: Lab, seconds: float) -> None:
    Lab.up(pair())
    killed_after(seconds, "Lab(spec.name).down()")
    lab.down()
    assert footprint() == []
    Lab.up(pair())
    killed_after(seconds, "Lab(spec.name).down()")
    Lab.up(pair())
    assert ssh(lab, "cp1", "hostname") == "cp1"


def test_down_finds_everything_by_name_when_the_state_is_lost(lab: Lab) -> None:
    Lab.up(pair())
    assert footprint() != []
    subprocess.run(["rm", "-rf", lab.folder], check=False)  # all but the disks, which are mounted there
    assert not (lab.folder / "lab.json").exists()
    lab.down()
    assert footprint() == []


def test_labs_side_by_side_do_not_touch_each_other(lab: Lab) -> None:
    Lab.up(pair())
    other = standard(name=f"{NAME}-b", subnet=IPv4Network("198.19.78.0/24"), control_planes=0, workers=1)
    Lab.up(other)
    Lab(other.name).down()
    assert Lab(other.name).traces() == []
    assert all(host.ssh for host in lab.status())
    with pytest.raises(LabError, match="in use"):
        Lab.up(other.model_copy(update={"subnet": SUBNET}))


def test_fifty_hosts(lab: Lab) -> None:
    spec = standard(name=NAME, subnet=SUBNET, control_planes=0, workers=0, bare=50)
    with within(40):
        Lab.up(spec)  # returns when every sshd has answered
    assert sum(host.on for host in lab.status()) == 50
