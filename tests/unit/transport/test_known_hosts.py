"""Who is known, in OpenSSH's format; ssh-keygen is the judge where it can be asked."""

import base64
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbootstrap.model.cluster import HostKeys
from kbootstrap.transport.known_hosts import HostKey, HostKeyRefused, Identity

KEY = HostKey("ssh-ed25519", b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00 " + bytes(range(32)))
OTHER = HostKey("ssh-ed25519", KEY.blob[:-1] + b"x")
RSA = HostKey("ssh-rsa", b"rsa")


def identity(
    file: Path, name: str = "cp1", port: int = 22, policy: HostKeys = HostKeys.STRICT, more: tuple[Path, ...] = ()
) -> Identity:
    return Identity(name, port, (file, *more), policy)


def accepts(who: Identity, key: HostKey = KEY) -> bool:
    try:
        who.verify(key)
    except HostKeyRefused:
        return False
    return True


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "known_hosts"


@pytest.mark.parametrize(
    ("names", "name", "port", "known"),
    [
        ("cp1", "cp1", 22, True),
        ("cp1", "CP1", 22, True),
        ("cp1", "cp2", 22, False),
        ("cp1,10.0.0.1", "10.0.0.1", 22, True),
        ("[cp1]:2222", "cp1", 2222, True),
        ("[cp1]:2222", "cp1", 22, False),
        ("cp1", "cp1", 2222, True),
        ("*.example.com", "cp1.example.com", 22, True),
        ("cp?", "cp1", 22, True),
        ("cp*,!cp1", "cp1", 22, False),
        ("cp*,!cp1", "cp2", 22, True),
        ("[cp*]:2222", "cp1", 2222, True),
        ("[fe80::1]:2222", "fe80::1", 2222, True),
        ("fe80::1", "fe80::1", 22, True),
        ("|1|junk|junk", "cp1", 22, False),
        ("|1|", "cp1", 22, False),
    ],
)
def test_names(file: Path, names: str, name: str, port: int, known: bool) -> None:
    file.write_text(KEY.line(names) + "\n")
    assert accepts(identity(file, name, port)) is known


@pytest.mark.parametrize(("name", "port"), [("cp1", 22), ("cp1", 2222), ("10.0.0.1", 22), ("fe80::1", 2222)])
def test_hashed_names_as_ssh_keygen_hashes_them(file: Path, name: str, port: int) -> None:
    file.write_text(KEY.line(identity(file, name, port).entry) + "\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", file], check=True, capture_output=True)
    assert file.read_text().startswith("|1|")
    assert accepts(identity(file, name, port))
    assert not accepts(identity(file, "cp9", port))


def test_fingerprints_are_those_of_ssh_keygen(tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    kind, blob, *_ = (tmp_path / "key.pub").read_text().split()
    listing = subprocess.run(["ssh-keygen", "-lf", tmp_path / "key"], capture_output=True, text=True, check=True)
    assert HostKey(kind, base64.b64decode(blob)).fingerprint == f"ssh-ed25519 {listing.stdout.split()[1]}"


def test_several_keys_of_a_host_are_all_known(file: Path) -> None:
    file.write_text("".join(f"{key.line('cp1')} a comment\n" for key in (OTHER, RSA, KEY)))
    assert all(accepts(identity(file), key) for key in (KEY, OTHER, RSA))
    assert [item.key for item in identity(file).known()] == [OTHER, RSA, KEY]


@pytest.mark.parametrize("policy", list(HostKeys))
def test_a_changed_key_is_always_refused_with_both_fingerprints(file: Path, policy: HostKeys) -> None:
    file.write_text(KEY.line("cp1") + "\n")
    before = file.read_bytes()
    for shown in (OTHER, RSA):
        with pytest.raises(HostKeyRefused) as caught:
            identity(file, policy=policy).verify(shown)
        assert KEY.fingerprint in caught.value.message
        assert shown.fingerprint in caught.value.message
        assert f"{file}:1" in caught.value.message
    assert file.read_bytes() == before


def test_marked_lines_are_no_keys_of_the_host(file: Path) -> None:
    file.write_text(f"@cert-authority {KEY.line('*')}\n@unknown {KEY.line('cp1')}\n")
    assert not accepts(identity(file))


def test_a_revoked_key_is_refused_even_where_it_is_known(file: Path, tmp_path: Path) -> None:
    file.write_text(KEY.line("cp1") + "\n")
    system = tmp_path / "system"
    system.write_text(f"@revoked {KEY.line('*')}\n")
    with pytest.raises(HostKeyRefused, match="revoked"):
        identity(file, more=(system,)).verify(KEY)
    assert accepts(identity(file))


def test_accept_new_appends_to_the_first_file_and_keeps_what_is_there(file: Path, tmp_path: Path) -> None:
    file.write_text("# mine\ncp2 ssh-ed25519 AAAA")
    who = identity(file, port=2222, policy=HostKeys.ACCEPT_NEW, more=(tmp_path / "none",))
    who.verify(KEY)
    who.verify(KEY)
    assert file.read_text() == f"# mine\ncp2 ssh-ed25519 AAAA\n{KEY.line('[cp1]:2222')}\n"
    assert not (tmp_path / "none").exists()


def test_accept_new_makes_the_file_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "new" / "known_hosts"
    identity(file, policy=HostKeys.ACCEPT_NEW).verify(KEY)
    assert (file.parent.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)


def test_accept_new_by_many_at_once_writes_each_host_once(file: Path) -> None:
    def accept(number: int) -> None:
        identity(file, f"host{number % 10}", policy=HostKeys.ACCEPT_NEW).verify(KEY)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(accept, range(100)))
    assert sorted(file.read_text().splitlines()) == sorted(KEY.line(f"host{n}") for n in range(10))


def test_of_two_who_see_a_new_host_with_different_keys_only_one_is_believed(file: Path) -> None:
    who = identity(file, policy=HostKeys.ACCEPT_NEW)
    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(lambda key: accepts(who, key), (KEY, OTHER))) == [False, True]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00garbage\n", b"cp1\n", b"cp1 ssh-ed25519 !!!\n", b"@\n@ \n"])
def test_unreadable_lines_are_skipped(file: Path, content: bytes) -> None:
    file.write_bytes(content + KEY.line("cp1").encode() + b"\n")
    assert accepts(identity(file))


def test_files_that_cannot_be_used_are_errors(tmp_path: Path) -> None:
    with pytest.raises(HostKeyRefused, match="cannot be read"):
        identity(tmp_path).verify(KEY)
    (tmp_path / "file").touch()
    with pytest.raises(HostKeyRefused, match="cannot be"):
        identity(tmp_path / "file" / "known_hosts", policy=HostKeys.ACCEPT_NEW).verify(KEY)


@given(st.binary(max_size=400), st.sampled_from(["cp1", "[cp1]:22", "*", "|1|a|b"]))
def test_no_content_makes_a_stranger_known_or_breaks(content: bytes, names: str) -> None:
    path = Path(f"/tmp/kbootstrap-known-hosts-{os.getpid()}")
    try:
        path.write_bytes(content + b"\n" + OTHER.line(names).encode() + b"\n")
        assert not accepts(identity(path))
    finally:
        path.unlink()
