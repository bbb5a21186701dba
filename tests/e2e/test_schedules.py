"""Rehearsals and drills by themselves, from an operations host: its systemd fires, and the results are there."""

import json
from pathlib import Path

import pytest

from kbootstrap.artifacts.cache import default_cache
from kbootstrap.artifacts.catalogue import load_catalogue
from kbootstrap.artifacts.obtain import obtain
from kbootstrap.artifacts.source import SourceSettings
from kbootstrap.drills.catalogue import DRILLS
from kbootstrap.model.versions import Version
from kbootstrap.workflows.image import NAME
from tests.e2e.bed import Bed
from tests.e2e.conftest import BedFactory, wait_until
from tests.e2e.drilling import Drilled, drilled_cluster
from tests.e2e.operations import COMMAND, equip
from tests.e2e.small_cluster import KUBERNETES

pytestmark = pytest.mark.long

HOST = "w2"
"""Not one of the cluster's: a drill would hurt the machine that has to undo it."""
DRILL = "scheduler-kill"
REHEARSED = ("etcd", "etcdctl", "etcdutl", "kube-apiserver")
SECONDS = 300


@pytest.fixture(scope="module")
def ground(beds: BedFactory, tmp_path_factory: pytest.TempPathFactory) -> Drilled:
    found = drilled_cluster(beds, tmp_path_factory.mktemp("schedules"), hosts={HOST: None})
    equip(found.bed, HOST, found.identity, *artifacts())
    return found


def artifacts() -> list[Path]:
    """Of the cache: what rehearsals start, and what probes talk to."""
    release = load_catalogue().release(Version.parse(KUBERNETES))
    wanted = [*map(release.ref, REHEARSED), *release.images(NAME)]
    cache = default_cache()
    found = obtain(wanted, SourceSettings(), cache)
    return [cache.root / "index.json", *(artifact.path for artifact in found.values())]


def there(bed: Bed, line: str, *, check: bool = True) -> str:
    """What the command says on the operations host."""
    return bed.ssh(HOST, f"{COMMAND} {line} --inventory {bed.inventory}", check=check, timeout=SECONDS)


def soon(bed: Bed) -> str:
    """When a timer is to fire: once, in the next minute. A second run would hide how the first one ended."""
    return bed.ssh(HOST, "date --date='+30 seconds' +'*-*-* *:%M:59'").strip()


def result(bed: Bed, unit: str) -> str:
    """How the service's last run ended; empty as long as it has not run."""
    shown = bed.ssh(HOST, f"systemctl show --property=Result,ExecMainExitTimestampMonotonic --value {unit}.service")
    how, ended = shown.splitlines()
    return how if ended != "0" else ""


def fired(bed: Bed, unit: str) -> str:
    """How it ended, when systemd has started it by itself."""
    took = wait_until(lambda: bool(result(bed, unit)), seconds=SECONDS, what=f"{unit} has run")
    bed.note(f"{unit} had run after {took:.0f} s: {result(bed, unit)}")
    return result(bed, unit)


def test_a_rehearsal_by_itself(ground: Drilled) -> None:
    bed, unit = ground.bed, f"kbootstrap-rehearse-{ground.bed.spec.name}"
    bed.run("backup", "run").expect()
    order = f"backup rehearse --identity {ground.identity} --on cp1 --schedule"
    assert unit in there(bed, f"{order} '{soon(bed)}'")
    assert fired(bed, unit) == "success", bed.ssh(HOST, f"journalctl --unit {unit} --no-pager")
    assert "no rehearsals" in there(bed, f"{order} off")
    assert bed.ssh(HOST, "ls /etc/systemd/system/kbootstrap-rehearse-* 2>/dev/null || true") == ""
    listed = json.loads(bed.run("backup", "list", "--json").expect().out)
    assert [backup["rehearsed"]["ok"] for backup in listed["backups"]] == [True], listed


def test_a_rehearsal_that_fails_is_told_of(ground: Drilled, tmp_path: Path) -> None:
    """With a key that opens nothing."""
    bed, unit = ground.bed, f"kbootstrap-rehearse-{ground.bed.spec.name}"
    bed.ssh(HOST, "mkdir -p /root/keys && cat >/root/keys/none.txt && chmod 600 /root/keys/none.txt", said="nothing\n")
    order = "backup rehearse --identity /root/keys/none.txt --on cp1 --schedule"
    there(bed, f"{order} '{soon(bed)}'")
    assert fired(bed, unit) == "exit-code"
    there(bed, f"{order} off")
    assert "failed" in bed.ssh(HOST, "journalctl --no-pager --priority=err --output=cat")


def test_drills_by_themselves(ground: Drilled) -> None:
    bed, unit = ground.bed, f"kbootstrap-drill-{ground.bed.spec.name}"
    others = [word for drill in DRILLS if drill.name != DRILL for word in ("--without", drill.name)]
    login = f"root@{bed.spec.hosts[HOST].address}"
    when = ("--on-calendar", soon(bed), "--metrics", "/root/drills.prom")
    assert unit in bed.run("drill", "schedule", "--host", login, *when, *others).expect().out
    assert fired(bed, unit) == "success", bed.ssh(HOST, f"journalctl --unit {unit} --no-pager")
    bed.run("drill", "schedule", "--host", login, "--off").expect(0, "No drills by themselves")
    assert f'drill="{DRILL}"' in bed.ssh(HOST, "cat /root/drills.prom")
    assert DRILL in there(bed, "drill history")
    assert DRILL in there(bed, "status")
