"""Reading backups: a good one is opened whole, and of every bad one it is said what is wrong with it."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyrage  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kbootstrap.pki import paths
from kbootstrap.workflows.restore.archive import check, opened
from kbootstrap.workflows.restore.faults import (
    BackupDamaged,
    BackupIncomplete,
    BackupMissing,
    BackupUnusable,
    WrongCluster,
    WrongKey,
    WrongVersion,
)
from tests.unit.workflows.restore.backups import BACKUP, CLUSTER, Maker, told


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    return Maker(tmp_path)


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def try_to_open(maker: Maker, identity: Path | None = None) -> None:
    with opened(maker.folder, BACKUP, identity or maker.identity, CLUSTER):
        pass


def test_a_good_one_is_opened_and_leaves_nothing(maker: Maker, scratch: Path) -> None:
    maker.make()
    with opened(maker.folder, BACKUP, maker.identity, CLUSTER) as archive:
        assert archive.database.read_bytes() == maker.database
        assert archive.manifest.revision == 42
        assert archive.keys[paths.CA_KEY] == maker.pki.kubernetes.key
        assert archive.folder.stat().st_mode & 0o077 == 0
        assert not (archive.folder / "backup.tar").exists()
        assert archive.folder.parent == scratch
    assert list(scratch.iterdir()) == []


def test_an_ssh_key_will_do_as_well(maker: Maker) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    file = maker.make()
    encrypted = pyrage.encrypt(
        pyrage.decrypt(file.read_bytes(), [maker.key]), [pyrage.ssh.Recipient.from_str(public.decode())]
    )
    restate(maker.folder, encrypted)
    identity = maker.folder / "id_ed25519"
    identity.write_bytes(private)
    try_to_open(maker, identity)


def restate(folder: Path, encrypted: bytes) -> None:
    """Replaces the encrypted file, with a listing that agrees."""
    listing = json.loads((folder / f"{BACKUP}.json").read_text())
    listing["file"] |= told(encrypted)
    (folder / f"{BACKUP}.tar.age").write_bytes(encrypted)
    (folder / f"{BACKUP}.json").write_text(json.dumps(listing))


def truncate(maker: Maker, file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def empty(maker: Maker, file: Path) -> None:
    file.write_bytes(b"")


def flip(maker: Maker, file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def truncate_and_restate(maker: Maker, file: Path) -> None:
    restate(maker.folder, file.read_bytes()[:-100])


def flip_and_restate(maker: Maker, file: Path) -> None:
    flip(maker, file)
    restate(maker.folder, file.read_bytes())


def empty_and_restate(maker: Maker, file: Path) -> None:
    restate(maker.folder, b"")


def no_file(maker: Maker, file: Path) -> None:
    file.unlink()


def no_listing(maker: Maker, file: Path) -> None:
    (maker.folder / f"{BACKUP}.json").unlink()


def neither(maker: Maker, file: Path) -> None:
    no_file(maker, file)
    no_listing(maker, file)


def half_a_listing(maker: Maker, file: Path) -> None:
    path = maker.folder / f"{BACKUP}.json"
    path.write_bytes(path.read_bytes()[:200])


def empty_listing(maker: Maker, file: Path) -> None:
    (maker.folder / f"{BACKUP}.json").write_bytes(b"")


def listing_says(key: str, value: object) -> Callable[[Maker, Path], None]:
    def spoil(maker: Maker, file: Path) -> None:
        path = maker.folder / f"{BACKUP}.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "kind", "says"),
    [
        (truncate, BackupDamaged, "is cut off"),
        (empty, BackupDamaged, "is empty"),
        (flip, BackupDamaged, "its SHA-256 is another"),
        (truncate_and_restate, BackupDamaged, "cut off or altered"),
        (flip_and_restate, BackupDamaged, "cut off or altered"),
        (empty_and_restate, BackupDamaged, "cannot be decrypted"),
        (no_file, BackupIncomplete, "is missing beside"),
        (no_listing, BackupIncomplete, "was never finished"),
        (neither, BackupMissing, "there is no backup"),
        (half_a_listing, BackupDamaged, "not a backup's manifest"),
        (empty_listing, BackupDamaged, "is empty"),
        (listing_says("cluster", "other"), WrongCluster, "of the cluster 'other', not of 'demo'"),
        (listing_says("kind", "kbootstrap-backup/v9"), WrongVersion, "not of the kind"),
        (listing_says("revision", 43), BackupDamaged, "differ: one was altered"),
        (listing_says("id", "demo-20261121T070000Z-cp1"), BackupDamaged, "was renamed or altered"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_is_wrong_is_said(
    maker: Maker, scratch: Path, spoil: Callable[[Maker, Path], None], kind: type[BackupUnusable], says: str
) -> None:
    spoil(maker, maker.make())
    with pytest.raises(kind, match=says) as error:
        try_to_open(maker)
    assert error.value.hint
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("after", "kind", "says"),
    [
        (lambda members: members.pop("etcd.db"), BackupIncomplete, "has no etcd.db"),
        (lambda members: members.pop("keys.tar"), BackupIncomplete, "has no keys.tar"),
        (lambda members: members.pop("manifest.json"), BackupIncomplete, "has no manifest.json"),
        (lambda members: members.update({"etcd.db": b"another database"}), BackupDamaged, "etcd.db .* is not what"),
        (lambda members: members.update({"manifest.json": b"{}"}), BackupDamaged, "not a backup's manifest"),
    ],
)
def test_members_are_what_the_manifest_says(
    maker: Maker, scratch: Path, after: Callable[[dict[str, bytes]], None], kind: type[BackupUnusable], says: str
) -> None:
    maker.make(after=after)
    with pytest.raises(kind, match=says):
        try_to_open(maker)
    assert list(scratch.iterdir()) == []


def test_no_tar_inside(maker: Maker) -> None:
    maker.make()
    restate(maker.folder, pyrage.encrypt(b"no tar" * 1000, [maker.key.to_public()]))
    with pytest.raises(BackupDamaged, match="holds no tar archive"):
        try_to_open(maker)


def test_keys_are_read_as_far_as_they_are_there(maker: Maker) -> None:
    maker.make(spoil=lambda members: members.update({"keys.tar": members["keys.tar"][:1024] + bytes(1024)}))
    with opened(maker.folder, BACKUP, maker.identity, CLUSTER) as archive:
        assert archive.keys == {paths.CA_KEY: maker.pki.kubernetes.key}


def test_keys_that_are_no_tar(maker: Maker) -> None:
    maker.make(spoil=lambda members: members.update({"keys.tar": b"no tar" * 1000}))
    with pytest.raises(BackupDamaged, match=r"keys\.tar is no tar archive"):
        try_to_open(maker)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (f"{pyrage.x25519.Identity.generate()}\n", "was not encrypted for the key"),
        ("", "is empty"),
        ("# only a comment\n", "is empty"),
        ("AGE-SECRET-KEY-1NONSENSE\n", "holds no age identity"),
        ("something else\n", "holds no age identity"),
    ],
    ids=["another", "empty", "comment", "damaged", "none"],
)
def test_a_wrong_key_is_said_to_be_one(maker: Maker, scratch: Path, content: str, says: str) -> None:
    maker.make()
    identity = maker.folder / "wrong.txt"
    identity.write_text(content)
    with pytest.raises(WrongKey, match=says) as error:
        try_to_open(maker, identity)
    assert "NONSENSE" not in str(error.value)
    assert list(scratch.iterdir()) == []


def test_no_key_at_all(maker: Maker) -> None:
    maker.make()
    with pytest.raises(WrongKey, match="cannot be read: No such file"):
        try_to_open(maker, maker.folder / "nowhere")


def test_without_the_key_damage_is_seen_too(maker: Maker) -> None:
    file = maker.make()
    assert check(maker.folder, BACKUP, CLUSTER).file.bytes == file.stat().st_size
    flip(maker, file)
    with pytest.raises(BackupDamaged):
        check(maker.folder, BACKUP, CLUSTER)


def test_members_cannot_write_elsewhere(maker: Maker, scratch: Path) -> None:
    maker.make(after=lambda members: members.update({"../../escaped": b"x", "etc/passwd": b"x"}))
    with opened(maker.folder, BACKUP, maker.identity, CLUSTER) as archive:
        names = {path.name for path in archive.folder.iterdir()}
    assert names == {"manifest.json", "etcd.db", "keys.tar", "inventory.yml"}
    assert not (scratch.parent / "escaped").exists()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_flipped_bit_is_found_also_when_the_listing_agrees(maker: Maker, place: float, bit: int) -> None:
    content = bytearray(maker.make().read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    restate(maker.folder, bytes(content))
    with pytest.raises(BackupUnusable):
        try_to_open(maker)
