"""Which keys a restored cluster goes on with."""

from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from kbootstrap.errors import PkiUnusable
from kbootstrap.facts.fact import Facts
from kbootstrap.facts.paths import ABSENT, PathStat, PathState
from kbootstrap.pki import paths
from kbootstrap.pki.authority import Pki
from kbootstrap.pki.create import create_encryption_key, create_pki
from kbootstrap.pki.files import pki_files
from kbootstrap.pki.recover import PKI_PATHS
from kbootstrap.workflows.restore.backup_keys import backup_pki
from kbootstrap.workflows.restore.faults import BackupDamaged, BackupIncomplete
from kbootstrap.workflows.restore.keys import restored_keys
from tests.unit.workflows.hosts import cluster
from tests.unit.workflows.restore.backups import MADE

OLD = create_pki("demo", MADE, 3650)
OTHER = create_pki("demo", MADE, 3650)


def files(pki: Pki) -> dict[PurePosixPath, bytes]:
    return {file.path: file.content for file in pki_files(pki)}


def seen(pki: Pki | None, *without: PurePosixPath) -> Facts:
    there = {} if pki is None else {path: content for path, content in files(pki).items() if path not in without}
    return Facts(
        {
            PathState(path): PathStat("file", 0o600, "root", "root", there[path]) if path in there else ABSENT
            for path in PKI_PATHS
        }
    )


def on_hosts(*pkis: Pki | None) -> dict[str, Facts]:
    return {host.name: seen(pki) for host, pki in zip(cluster().control_planes, pkis, strict=True)}


def test_bare_hosts_get_those_of_the_backup() -> None:
    assert restored_keys(cluster(), on_hosts(None, None, None), files(OLD), MADE) == OLD


def test_hosts_that_have_the_same_keep_them() -> None:
    assert restored_keys(cluster(), on_hosts(OLD, OLD, None), files(OLD), MADE) == OLD


def test_what_hosts_lack_comes_from_the_backup() -> None:
    hosts = on_hosts(None, None, None) | {"cp1": seen(OLD, paths.CA_KEY, paths.SERVICE_ACCOUNT_PRIVATE)}
    assert restored_keys(cluster(), hosts, files(OLD), MADE) == OLD


def test_a_key_of_encryption_that_was_changed_goes_on_writing_and_that_of_the_backup_reads() -> None:
    new = create_encryption_key()
    changed = replace(OLD, encryption_key=new)
    found = restored_keys(cluster(), on_hosts(changed, changed, changed), files(OLD), MADE)
    assert found == replace(OLD, encryption_key=new, older_encryption_keys=(OLD.encryption_key,))


def test_a_key_of_encryption_that_hosts_know_already_is_not_added_twice() -> None:
    changed = replace(OLD, encryption_key=create_encryption_key(), older_encryption_keys=(OLD.encryption_key,))
    assert restored_keys(cluster(), on_hosts(changed, changed, None), files(OLD), MADE) == changed


def test_keys_of_another_cluster_are_not_replaced() -> None:
    with pytest.raises(PkiUnusable, match="not those of the backup") as error:
        restored_keys(cluster(), on_hosts(OTHER, OTHER, OTHER), files(OLD), MADE)
    assert "reset" in str(error.value.hint)
    assert any("the backup" in problem.message for problem in error.value.problems)


def test_keys_of_the_backup_that_do_not_fit_together() -> None:
    mixed = {**files(OLD), paths.CA_KEY: OTHER.kubernetes.key}
    with pytest.raises(BackupDamaged, match="do not fit together") as error:
        backup_pki(mixed, "demo")
    assert "ca.key" in str(error.value.output)
    with pytest.raises(BackupDamaged, match="do not fit together"):
        restored_keys(cluster(), on_hosts(None, None, None), mixed, MADE)


PARTS = {path: content for path, content in files(OLD).items() if "ca.key" not in path.name}
"""What a host of etcd alone may have."""


def test_what_the_backup_lacks_is_taken_from_the_hosts() -> None:
    assert restored_keys(cluster(), on_hosts(OLD, None, None), PARTS, MADE) == OLD
    assert restored_keys(cluster(), on_hosts(None, OLD, None), {}, MADE) == OLD


@pytest.mark.parametrize("kept", [PARTS, {}])
def test_what_is_nowhere_is_never_made_anew(kept: dict[PurePosixPath, bytes]) -> None:
    with pytest.raises(BackupIncomplete, match=r"lacks .*ca\.key"):
        restored_keys(cluster(), on_hosts(None, None, None), kept, MADE)
    with pytest.raises(BackupIncomplete, match=r"lacks .*ca\.key"):
        backup_pki(kept, "demo")
