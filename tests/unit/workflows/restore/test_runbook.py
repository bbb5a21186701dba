"""The runbook has the cluster's own values, and no secret."""

from dataclasses import replace
from pathlib import Path

from kbootstrap.model.backup import Backup
from kbootstrap.workflows.restore.runbook import runbook
from tests.unit.workflows.hosts import cluster

RECIPIENT = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"


def test_it_names_hosts_targets_and_keys(tmp_path: Path) -> None:
    secret = tmp_path / "s3"
    secret.write_text("very secret")
    target = {"type": "s3", "path": "bucket/kb", "secrets": {"secret_access_key": {"file": str(secret)}}}
    backup = Backup.model_validate({"recipients": [RECIPIENT], "targets": {"offsite": target}})
    plain = cluster()
    text = runbook(replace(plain, settings=plain.settings.model_copy(update={"backup": backup})), Path("/srv/demo.yml"))
    for word in ("198.18.0.100:6443", "| cp3 | 198.18.0.13 |", RECIPIENT, "`bucket/kb/demo`", "--from offsite"):
        assert word in text
    peers = ",".join(f"cp{number}=https://198.18.0.1{number}:2380" for number in (1, 2, 3))
    assert text.count(f"--initial-cluster={peers} ") == 3
    assert "1 of 3 etcd members lost" in text
    assert "2 or more of 3 etcd members lost" in text
    assert str(secret) in text
    assert "very secret" not in text


def test_it_says_when_there_is_nothing_to_recover_from() -> None:
    text = runbook(cluster(), Path("/srv/demo.yml"))
    assert "there are no backups" in text
    assert "every backup is on the hosts that it is a backup of" in text
