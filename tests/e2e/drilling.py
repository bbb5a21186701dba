"""A cluster for drills, and how tests run them."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pyrage  # type: ignore[import-untyped]

from kbootstrap.lab.spec import standard
from tests.e2e.bed import Bed, Outcome
from tests.e2e.conftest import PREFIX, BedFactory

RATE = "20"
"""Requests a second of each probe: five hosts and the prober share two cores."""
TOLERATION_SECONDS = 10
REFUSED = 5
FAILED = 7
INTERRUPTED = 7
HEALED_SECONDS = 120
"""An armed undo acts half a minute after the drill would have, on hosts that are called patient twice as late."""
SLOW_ADVERTS = r"s/advert_int .*/advert_int 10/;s/priority 2\(..\)$/priority \1/"
"""Breaks a keepalived.conf: three announcements are missed before another host takes the VIP, 30 s. After a good-bye it
waits for eight, with priorities as low as these: with ours, ten seconds between announcements harm no hand-over."""

SETTINGS: dict[str, Any] = {
    "kube_apiserver": {
        "extra_args": {
            "default-not-ready-toleration-seconds": str(TOLERATION_SECONDS),
            "default-unreachable-toleration-seconds": str(TOLERATION_SECONDS),
        }
    },
    "kube_controller_manager": {"extra_args": {"node-monitor-grace-period": "20s"}},
}

MARK = "ls -d /var/lib/kbootstrap/drill 2>/dev/null || true"


def drilled(bed: Bed, *names: str, options: tuple[str, ...] = ()) -> tuple[Outcome, list[dict[str, Any]]]:
    """Runs drills; what was printed, and the results."""
    outcome = bed.run("drill", "run", *names, "--probe-rate", RATE, "--json", *options, timeout=1200)
    last = outcome.out.strip().splitlines()[-1]
    results: list[dict[str, Any]] = json.loads(last)["results"]
    for result in results:
        found = "; ".join(f"{one['limit']['what']} {one['seconds']}" for one in result["measured"])
        bed.note(f"{result['drill']}: {result['verdict']}; {found}; steady after {result['recovery']} s")
    return outcome, results


def require_passed(bed: Bed, *names: str, options: tuple[str, ...] = ()) -> None:
    outcome, results = drilled(bed, *names, options=options)
    assert [(result["drill"], result["verdict"], result["problems"]) for result in results] == [
        (name, "passed", []) for name in names
    ], outcome.text[-4000:]
    assert all(said == "" for said in bed.on_all(MARK).values())


def require_failed(bed: Bed, name: str, *, says: str, options: tuple[str, ...] = ()) -> dict[str, Any]:
    outcome, [result] = drilled(bed, name, options=options)
    assert (outcome.code, result["verdict"]) == (FAILED, "failed"), outcome.text[-4000:]
    assert re.search(says, "\n".join(result["problems"])), result["problems"]
    return result


@contextmanager
def changed(
    bed: Bed, hosts: Sequence[str], file: str, expression: str, reload: str, settled: Callable[[], object]
) -> Iterator[None]:
    """These hosts with another file, by an expression of sed's; `reload` has it read, then and when it is put back.
    In the end waits until that is `settled`.
    """
    bed.on_all(f"cp -p {file} {file}.kept && sed -i '{expression}' {file} && {reload}", hosts)
    try:
        yield
    finally:
        bed.on_all(f"mv {file}.kept {file} && {reload}", hosts)
        settled()


@dataclass(frozen=True, slots=True)
class Drilled:
    """A cluster for drills, and the private key of its backups."""

    bed: Bed
    identity: Path


def drilled_cluster(beds: BedFactory, folder: Path, **more: Any) -> Drilled:
    """Three control planes and two workers, whose pods leave a dead node soon; backups are on. `more` is laid over its
    inventory.
    """
    key = pyrage.x25519.Identity.generate()
    (folder / "key.txt").write_text(f"{key}\n")
    settings = {**SETTINGS, "backup": {"recipients": [str(key.to_public())]}, **more}
    bed = beds(standard(name=f"{PREFIX}drills", subnet=IPv4Network("198.18.51.0/24")), settings)
    bed.run("up").expect()
    return Drilled(bed, folder / "key.txt")


def leads(bed: Bed, host: str) -> bool:
    """Whether the host's etcd member is the leader."""
    status = json.loads(bed.ssh(host, "etcdctl endpoint status --write-out=json"))[0]["Status"]
    return bool(status["leader"] == status["header"]["member_id"])
