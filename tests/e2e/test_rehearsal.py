"""Rehearsals with the real etcd and kube-apiserver, on this machine alone: proven, or told why not."""

import json
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from kbootstrap.events import ignore
from kbootstrap.model.cluster import Cluster, Host, Role
from kbootstrap.model.versions import Version
from kbootstrap.pki.create import create_encryption_key, create_pki
from kbootstrap.workflows.rehearsal.rehearse import Order, Rehearsal, rehearse
from kbootstrap.workflows.restore.faults import BackupDamaged, BackupUnusable, Unproven, WrongKey
from tests.e2e.observe import showing
from tests.e2e.small_cluster import KUBERNETES, small_cluster
from tests.unit.workflows.restore.backups import BACKUP, CLUSTER, MADE, Maker

SECRETS = 1200
"""More than two pages of them."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Maker]:
    """Backups of a real cluster that is gone."""
    with small_cluster(tmp_path_factory.mktemp("source")) as cluster:
        for number in range(SECRETS):
            cluster.secret(f"secret-{number}")
        maker = cluster.backup()
    yield maker


@pytest.fixture
def maker(source: Maker, tmp_path: Path) -> Maker:
    return replace(source, folder=tmp_path)


def rehearsed(maker: Maker) -> Rehearsal:
    host = Host("cp1", IPv4Address("198.18.0.11"), frozenset({Role.CONTROL_PLANE, Role.ETCD}))
    cluster = Cluster(CLUSTER, Version.parse(KUBERNETES), (host,))
    return rehearse(cluster, Order(maker.identity, origin=str(maker.folder)), ignore)


def noted(maker: Maker) -> dict[str, object]:
    """What lies beside the backup."""
    value: dict[str, object] = json.loads((maker.folder / f"{BACKUP}.rehearsed.json").read_text())
    return value


def require_nothing_left() -> None:
    assert list(showing("--name=rehearsal")) == []
    assert list(showing("rehearsal.invalid")) == []


def test_a_good_one_is_proven(maker: Maker) -> None:
    maker.make()
    proof = rehearsed(maker)
    assert proof.ok
    assert proof.hash_compared
    assert proof.revision == maker.facts["revision"]
    assert proof.objects["secrets"] == SECRETS
    assert noted(maker)["ok"] is True
    assert noted(maker)["id"] == BACKUP
    require_nothing_left()


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def unproven(maker: Maker, kind: type[BackupUnusable], says: str) -> None:
    with pytest.raises(kind, match=says) as error:
        rehearsed(maker)
    assert noted(maker)["ok"] is False
    assert error.value.message in str(noted(maker)["error"])
    require_nothing_left()


def test_a_database_that_was_altered_before_it_was_encrypted(maker: Maker) -> None:
    broken = replace(maker, database=flipped(maker.database, len(maker.database) // 2))
    broken.make()
    unproven(broken, BackupUnusable, "snapshot")


def test_a_database_that_is_none(maker: Maker) -> None:
    broken = replace(maker, database=b"no database" * 1000)
    broken.make()
    unproven(broken, BackupDamaged, "etcd cannot read the snapshot")


@pytest.mark.parametrize(("fact", "says"), [("revision", "revision is"), ("keys", "totalKey is"), ("hash", "hash is")])
def test_a_manifest_of_another_snapshot(maker: Maker, fact: str, says: str) -> None:
    broken = replace(maker, facts={**maker.facts, fact: maker.facts[fact] + 1})
    broken.make()
    unproven(broken, BackupDamaged, says)


def test_keys_that_the_members_of_the_cluster_did_not_have(maker: Maker) -> None:
    hashed = maker.facts["hashkv"]
    broken = replace(maker, facts={**maker.facts, "hashkv": {**hashed, "hash": hashed["hash"] + 1}})
    broken.make()
    unproven(broken, Unproven, "the restored data is not what the manifest says: hash is")


def test_an_encryption_configuration_with_another_key(maker: Maker) -> None:
    broken = replace(maker, pki=replace(maker.pki, encryption_key=create_encryption_key()))
    broken.make()
    unproven(broken, Unproven, "cannot read the Secrets with these keys")


def test_keys_that_do_not_fit_together(maker: Maker) -> None:
    other = create_pki(CLUSTER, MADE, 3650)
    broken = replace(maker, pki=replace(maker.pki, etcd=replace(maker.pki.etcd, key=other.etcd.key)))
    broken.make()
    unproven(broken, BackupDamaged, "do not fit together")


def test_truncated(maker: Maker) -> None:
    file = maker.make()
    file.write_bytes(file.read_bytes()[:-1])
    unproven(maker, BackupDamaged, "is cut off")


def test_the_wrong_key_says_nothing_of_the_backup(maker: Maker) -> None:
    maker.make()
    other = replace(maker, key=Maker(maker.folder).key)
    with pytest.raises(WrongKey, match="not encrypted for the key"):
        rehearsed(other)
    assert not (maker.folder / f"{BACKUP}.rehearsed.json").exists()
