"""Keys, and what OpenSSH is told of them."""

import subprocess
from pathlib import Path

import pytest

from kbootstrap.lab import keys
from kbootstrap.lab.spec import HostSpec, LabSpec, standard


def test_a_key_is_made_once_and_is_for_its_owner_only(tmp_path: Path) -> None:
    public = keys.ensure_key(tmp_path / "id_ed25519")
    assert public.startswith("ssh-ed25519 ")
    assert (tmp_path / "id_ed25519").stat().st_mode & 0o777 == 0o600
    assert keys.ensure_key(tmp_path / "id_ed25519") == public


def test_a_key_whose_making_was_cut_short_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "id_ed25519").write_text("half a ke")
    public = keys.ensure_key(tmp_path / "id_ed25519")
    read = subprocess.run(
        ["ssh-keygen", "-y", "-f", tmp_path / "id_ed25519"], capture_output=True, text=True, check=True
    )
    assert read.stdout.strip() == public


@pytest.mark.parametrize("mode", [0o600, 0o444])
def test_a_file_is_replaced_whole_and_with_its_mode(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "file"
    (tmp_path / ".file.new").write_text("left by a crash")
    keys.write(file, b"one", mode)
    keys.write(file, b"two", mode)
    assert file.read_bytes() == b"two"
    assert file.stat().st_mode & 0o777 == mode
    assert list(tmp_path.iterdir()) == [file]


def special() -> LabSpec:
    cp1, w1 = (standard().hosts[name] for name in ("cp1", "w1"))
    return LabSpec(hosts={"cp1": cp1, "w1": HostSpec(address=w1.address, ssh_port=2222, login="admin", jump="cp1")})


def test_known_hosts_are_found_by_openssh(tmp_path: Path) -> None:
    known = {name: keys.ensure_key(tmp_path / name) for name in ("cp1", "w1")}
    file = tmp_path / "known_hosts"
    file.write_text(keys.known_hosts(special(), known))
    for place, name in (("198.18.0.11", "cp1"), ("[198.18.0.21]:2222", "w1")):
        found = subprocess.run(["ssh-keygen", "-F", place, "-f", file], capture_output=True, text=True, check=True)
        assert known[name] in found.stdout


def test_ssh_config_is_understood_by_openssh(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(keys.ssh_config(special(), Path("/k/id"), Path("/k/known")))
    told = subprocess.run(["ssh", "-G", "-F", file, "w1"], capture_output=True, text=True, check=True).stdout
    wanted = {
        "hostname 198.18.0.21",
        "port 2222",
        "user admin",
        "proxyjump cp1",
        "identityfile /k/id",
        "userknownhostsfile /k/known",
        "stricthostkeychecking true",
    }
    assert wanted <= set(told.splitlines())
