"""A second run that finds nothing to do, on five hosts with a running cluster."""

import json

from benchmarks.bed import Bed
from benchmarks.contest import Contender, Contest
from benchmarks.peers import Peers, versions
from benchmarks.reading import Exchanges, scripts
from kbootstrap.errors import CommandFailed


def contest(bed: Bed, peers: Peers, exchanges: Exchanges) -> Contest:
    """`up` as a whole process, against OpenSSH that sends the same scripts, and two peers with a small deployment."""
    reading, version = scripts(exchanges), versions()
    return Contest(
        "noop",
        f"nothing to do, {len(bed.hosts)} hosts",
        (
            Contender("kbootstrap up", lambda: _up(bed)),
            Contender("parallel ssh, same reading", lambda: bed.ssh.run_all(reading)),
            Contender(f"pyinfra {version['pyinfra']}", lambda: peers.pyinfra(changes=False)),
            Contender(f"ansible-core {version['ansible-core']}", lambda: peers.ansible(changes=False)),
        ),
    )


def _up(bed: Bed) -> None:
    said = bed.kbootstrap("up", "--json")
    changes = json.loads(said.splitlines()[-1])["changes"]
    if changes:
        raise CommandFailed(f"`kbootstrap up` made {changes} changes where none were due", output=said)
