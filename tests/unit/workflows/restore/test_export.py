"""What `backup export-keys` writes, and how it is read again."""

import json
from pathlib import Path, PurePosixPath

import pyrage  # type: ignore[import-untyped]
import pytest

from kbootstrap.errors import InvalidInput
from kbootstrap.pki import paths
from kbootstrap.pki.files import pki_files
from kbootstrap.pki.recover import PKI_PATHS
from kbootstrap.workflows.restore.archive import opened
from kbootstrap.workflows.restore.export import KIND, NOTE, _tar, _write, exported_keys
from kbootstrap.workflows.restore.faults import BackupDamaged, WrongCluster, WrongKey
from tests.unit.workflows.restore.backups import BACKUP, CLUSTER, Maker, tar_of

Members = dict[str, bytes]


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    return Maker(tmp_path)


def members(maker: Maker, **note: object) -> Members:
    said = {"kind": KIND, "cluster": CLUSTER, **note}
    keys = {str(file.path).lstrip("/"): file.content for file in pki_files(maker.pki)}
    return {NOTE: json.dumps(said).encode(), **keys, "inventory.yml": b"cluster: {}\n", "targets/s3/secret": b"s"}


def written(maker: Maker, content: Members) -> Path:
    path = maker.folder / "keys.tar.age"
    _write(path, pyrage.encrypt(_tar(content), [maker.key.to_public()]))
    return path


def test_all_keys_come_back(maker: Maker) -> None:
    file = written(maker, members(maker))
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in maker.folder.iterdir() if path.name.startswith(".")] == []
    found = exported_keys(file, maker.identity, CLUSTER)
    assert set(found) == set(PKI_PATHS)
    assert found[paths.CA_KEY] == maker.pki.kubernetes.key


def test_they_complete_a_backup_that_lacks_keys(maker: Maker) -> None:
    def of_etcd_alone(content: Members) -> None:
        content["keys.tar"] = tar_of({"etc/kubernetes/pki/etcd/ca.crt": maker.pki.etcd.certificate})

    maker.make(spoil=of_etcd_alone)
    keys = exported_keys(written(maker, members(maker)), maker.identity, CLUSTER)
    with opened(maker.folder, BACKUP, maker.identity, CLUSTER) as archive:
        assert set(archive.keys) == {PurePosixPath("/etc/kubernetes/pki/etcd/ca.crt")}
    with opened(maker.folder, BACKUP, maker.identity, CLUSTER, keys) as archive:
        assert set(archive.keys) == set(PKI_PATHS)


def test_another_cluster(maker: Maker) -> None:
    file = written(maker, members(maker, cluster="other"))
    with pytest.raises(WrongCluster, match="of the cluster 'other'"):
        exported_keys(file, maker.identity, CLUSTER)


def test_another_key(maker: Maker) -> None:
    file = written(maker, members(maker))
    with pytest.raises(WrongKey):
        exported_keys(file, Maker(maker.folder).identity, CLUSTER)


@pytest.mark.parametrize(
    "note", [b"", b"[]", b"{}", json.dumps({"kind": "kbootstrap-keys/v9", "cluster": CLUSTER}).encode()]
)
def test_what_is_no_export(maker: Maker, note: bytes) -> None:
    file = written(maker, {**members(maker), NOTE: note})
    with pytest.raises(BackupDamaged, match="is no export of keys"):
        exported_keys(file, maker.identity, CLUSTER)
    with pytest.raises(BackupDamaged, match="is no export of keys"):
        exported_keys(maker.make(), maker.identity, CLUSTER)


def test_a_folder_that_cannot_be_written(maker: Maker) -> None:
    (maker.folder / "file").write_text("")
    with pytest.raises(InvalidInput, match="cannot be written"):
        _write(maker.folder / "file" / "keys.tar.age", b"")
