"""A cluster with 100 MB in etcd: what clients feel of a backup, and how long a restore takes. Prints both by phase."""

import base64
import http.client
import json
import secrets
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import pyrage  # type: ignore[import-untyped]
import pytest
import yaml

from kbootstrap.cli.options import load
from kbootstrap.events import Sink, ignore
from kbootstrap.lab.spec import standard
from kbootstrap.probes.kinds import API_WRITES
from kbootstrap.probes.recording import Observation
from kbootstrap.workflows.backups.operate import run as make_backup
from kbootstrap.workflows.converge import connected
from kbootstrap.workflows.probing import ProbeSettings, probed
from tests.e2e.bed import Bed
from tests.e2e.conftest import PREFIX, BedFactory, wait_until
from tests.e2e.object_store import ObjectStore, bucket_target

pytestmark = pytest.mark.long

SUBNET = IPv4Network("198.18.75.0/24")
OBJECTS = 20_000
OBJECT_BYTES = 5_000
LEAST_BYTES = 100_000_000
THREADS = 8

RATE = 10.0
"""Writes a second of each of two probes. Five probes at twice that rate keep two processors three quarters busy: then
writes wait for a processor, with a backup or without."""
BACKUPS = 6
"""Of each kind, and as many quiet times of the same length, in turns: single writes take 0.25 s here with nothing else
going on, too."""
AFTER_SECONDS = 2.0
QUIET, WHOLE = "nothing", "backup"
"""The time before a backup, and the phase around all others."""
STALL_SECONDS = 0.2
"""What a write may take longer than without a backup: the usual one (median), and the slowest of all."""
MEMORY = Path("/dev/shm")
"""Where the object store has its objects. It stands for one elsewhere; on this disk it would hold up etcd's writes."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A cluster that is full."""

    bed: Bed
    identity: Path


@pytest.fixture(scope="module")
def loaded(beds: BedFactory, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    folder = tmp_path_factory.mktemp("load")
    key = pyrage.x25519.Identity.generate()
    identity = folder / "key.txt"
    identity.write_text(f"{key}\n")
    bed = beds(standard(name=f"{PREFIX}bak", subnet=SUBNET, control_planes=3, workers=0))
    with TemporaryDirectory(prefix=PREFIX, dir=MEMORY) as memory:
        store = ObjectStore(Path(memory), str(SUBNET[1]))
        target = bucket_target(store, "backups", bed.folder)
        bed.write({"backup": {"recipients": [str(key.to_public())], "targets": {"offsite": target}}})
        store.start()
        try:
            bed.run("up").expect(0, "is ready")
            bed.note(f"{OBJECTS} objects written in {fill(bed):.0f} s")
            yield Loaded(bed, identity)
        finally:
            store.stop()


def fill(bed: Bed) -> float:
    """Writes ConfigMaps until etcd has what it should; seconds."""
    began = time.monotonic()
    path = bed.folder / "admin.kubeconfig"
    bed.run("kubeconfig", "--output", str(path)).expect()
    config = yaml.safe_load(path.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    for name in ("client-certificate-data", "client-key-data"):
        (bed.folder / name).write_bytes(base64.b64decode(user[name]))
    tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    tls.load_cert_chain(bed.folder / "client-certificate-data", bed.folder / "client-key-data")
    server = urlsplit(cluster["server"]).netloc
    bed.kubectl("create namespace load")

    def write(first: int) -> None:
        line = http.client.HTTPSConnection(server, timeout=30, context=tls)
        for number in range(first, OBJECTS, THREADS):
            body = {"metadata": {"name": f"object-{number}"}, "data": {"content": secrets.token_hex(OBJECT_BYTES // 2)}}
            wait_until(partial(_written, line, json.dumps(body)), seconds=120, what=f"object {number}")

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(write, range(THREADS)))
    return time.monotonic() - began


def _written(line: http.client.HTTPSConnection, body: str) -> bool:
    """Whether the API has it; it ends connections now and then, and is out of the proxies when it is slow."""
    try:
        line.request("POST", "/api/v1/namespaces/load/configmaps", body, {"Content-Type": "application/json"})
        answer = line.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        line.close()
        return False
    return answer.status in (http.HTTPStatus.CREATED, http.HTTPStatus.CONFLICT)


def database_bytes(bed: Bed) -> int:
    status = json.loads(bed.ssh(bed.control_planes[0], "etcdctl endpoint status --write-out=json"))
    return int(status[0]["Status"]["dbSize"])


def watched(bed: Bed, quiet: float, work: Callable[[Sink], object]) -> Observation:
    """What clients see for so many seconds, then while something is done, and for a moment after it."""
    cluster = load(bed.inventory)
    with (
        connected(cluster) as connections,
        probed(cluster, connections, ignore, ProbeSettings(rate=RATE)) as recording,
    ):
        time.sleep(quiet)
        work(recording.watch(ignore))
        time.sleep(AFTER_SECONDS)
    return recording.observation()


def slowest_write(seen: Observation, began: float, ended: float) -> float:
    """Of the writes that were under way at some time between; in seconds. One that failed counts as all of it."""
    slowest = 0.0
    for track in seen.samples.tracks:
        if track.name in API_WRITES:
            good = zip(track.began, track.seconds, strict=True)
            times = [*good, *((each.began, each.seconds) for each in track.failures)]
            slowest = max([slowest, *(took for start, took in times if start < ended and start + took > began)])
    return slowest


def by_phase(seen: Observation) -> dict[str, tuple[float, float]]:
    """Seconds, and the slowest write, of each phase; first of the time before any."""
    first = min(span.began for span in seen.spans)
    found = {QUIET: (first - seen.began, slowest_write(seen, seen.began, first))}
    for span in seen.spans:
        found[span.phase] = span.ended - span.began, slowest_write(seen, span.began, span.ended)
    return found


def table(found: dict[str, tuple[float, float]]) -> str:
    return "\n".join(
        f"  {phase:<14} {seconds:6.2f} s   slowest write {stall * 1000:5.0f} ms"
        for phase, (seconds, stall) in found.items()
    )


@pytest.mark.parametrize("place", ["leader", "follower"])
def test_a_backup_does_not_stall_writes(loaded: Loaded, place: str) -> None:
    bed = loaded.bed
    assert database_bytes(bed) >= LEAST_BYTES
    cluster = load(bed.inventory)
    began = time.monotonic()
    leader = next(iter(make_backup(cluster, (), ignore)))
    takes = time.monotonic() - began
    host = leader if place == "leader" else next(name for name in bed.control_planes if name != leader)
    stalls: dict[str, list[float]] = {}
    for _ in range(BACKUPS):
        found = by_phase(watched(bed, takes, lambda emit: make_backup(cluster, (host,), emit)))
        bed.note(f"a backup of {database_bytes(bed) / 1e6:.0f} MB by the {place}\n{table(found)}")
        for phase, (_, stall) in found.items():
            stalls.setdefault(phase, []).append(stall)
    for figure, judge in (("usually", median), ("at worst", max)):
        found_so = ", ".join(f"{phase} {judge(each) * 1000:.0f} ms" for phase, each in stalls.items())
        bed.note(f"by the {place}, {figure}: {found_so}")
        assert judge(stalls[WHOLE]) - judge(stalls[QUIET]) < STALL_SECONDS, stalls


def test_a_restore_is_quick(loaded: Loaded) -> None:
    bed = loaded.bed
    outcome = bed.run("restore", "latest", "--identity", str(loaded.identity), "--yes")
    bed.note(outcome.timing)
    outcome.expect(0, "is back after")
    count = len(bed.kubectl("--namespace=load get configmaps --output=name").splitlines())
    assert count == OBJECTS + 1  # and the authority's, which every namespace has
