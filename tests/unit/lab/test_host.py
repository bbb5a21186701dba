"""What makes a host itself on the disk, and its place in the network."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from kbootstrap.lab import network
from kbootstrap.lab.host import contents
from kbootstrap.lab.nspawn.container import Container
from kbootstrap.lab.spec import HostSpec, LabSpec, standard

KEY = "ssh-ed25519 AAAA"


def special() -> LabSpec:
    cp1, w1 = (standard().hosts[name] for name in ("cp1", "w1"))
    return LabSpec(hosts={"cp1": cp1, "w1": HostSpec(address=w1.address, ssh_port=2222, login="admin", jump="cp1")})


def texts(name: str) -> dict[str, str]:
    return {str(content.path): content.text for content in contents(special(), name, "0123", KEY)}


def test_an_ordinary_host_lets_root_in_and_nobody_else() -> None:
    files = texts("cp1")
    assert files["etc/ssh/authorized_keys.d/root"] == f"{KEY}\n"
    assert files["etc/hostname"] == "cp1\n"
    assert files["etc/machine-id"] == "0123\n"
    assert not any("nftables" in path or "sshd_config" in path for path in files)
    assert sum("authorized_keys" in path for path in files) == 1


def test_a_host_behind_another_takes_ssh_from_that_alone() -> None:
    files = texts("w1")
    assert files["etc/ssh/sshd_config.d/port.conf"] == "Port 2222\n"
    assert [path for path in files if "authorized_keys" in path] == ["etc/ssh/authorized_keys.d/admin"]
    assert "tcp dport 2222 ip saddr != 198.18.0.11 drop" in files["etc/nftables.conf"]


def test_a_disk_is_laid_out_once(tmp_path: Path) -> None:
    host = Container(special(), "w1", tmp_path / "w1", tmp_path)
    (tmp_path / ".w1.new").mkdir()  # left by a crash
    host.prepare(KEY)
    before = (host.host_key(), (tmp_path / "w1/upper/etc/machine-id").read_text())
    assert (tmp_path / "w1/upper/etc/systemd/system/sysinit.target.wants/nftables.service").is_symlink()
    host.prepare(KEY)
    assert (host.host_key(), (tmp_path / "w1/upper/etc/machine-id").read_text()) == before
    assert [path.name for path in tmp_path.iterdir()] == ["w1"]


def test_no_two_hosts_are_the_same_machine(tmp_path: Path) -> None:
    for name in ("cp1", "w1"):
        Container(special(), name, tmp_path / name, tmp_path).prepare(KEY)
    assert len({(tmp_path / name / "upper/etc/machine-id").read_text() for name in ("cp1", "w1")}) == 2


@given(lab=st.from_regex(r"[a-z][a-z0-9-]{0,10}", fullmatch=True))
def test_interface_names_are_short_enough(lab: str) -> None:
    assert len(network.switch(lab)) <= 15


def test_link_addresses_are_local_stable_and_different() -> None:
    addresses = {network.link_address("lab", f"bare{number}") for number in range(1, 51)}
    assert len(addresses) == 50
    assert all(int(address[:2], 16) & 0b11 == 0b10 for address in addresses)
    assert network.link_address("lab", "cp1") == network.link_address("lab", "cp1")
    assert network.link_address("lab", "cp1") != network.link_address("lab2", "cp1")
