"""Many hosts at once: fifty that run nothing but sshd."""

import json

from benchmarks.bed import Bed
from benchmarks.contest import Contender, Contest
from kbootstrap.errors import CommandFailed, PreflightFailed

HOSTS = 50


def contest(bed: Bed) -> Contest:
    """`preflight` as a whole process, against `true` on every host at once."""
    return Contest(
        "fanout",
        f"{len(bed.hosts)} bare hosts",
        (
            Contender("kbootstrap preflight", lambda: _preflight(bed)),
            Contender("parallel ssh, `true`", lambda: bed.ssh.run_all(dict.fromkeys(bed.hosts, "true"))),
        ),
    )


def _preflight(bed: Bed) -> None:
    """Whether so many hosts on one machine are fit for a cluster does not matter; that all were read does."""
    said = bed.kbootstrap("preflight", "--json", codes=(0, PreflightFailed.exit_code))
    read = [host for host in json.loads(said)["hosts"] if host["identity"]]
    if len(read) != len(bed.hosts):
        raise CommandFailed(f"`kbootstrap preflight` read {len(read)} of {len(bed.hosts)} hosts", output=said)
