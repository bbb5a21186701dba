"""The parts: a reading's round trip, the plan in this process, and ways to bring a large file to a host."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks.bed import Bed
from benchmarks.contest import Contender, Contest
from benchmarks.openssh import OpenSsh
from benchmarks.reading import Exchanges, replay, scripts, survey
from kbootstrap.artifacts.artifact import Artifact
from kbootstrap.engine.delivery import INCOMING, Way, delivering
from kbootstrap.engine.script import fetch_from_folder
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.access import opened

READINGS = 10
"""Readings in a round: one takes some ten milliseconds."""
PLANS = 5
TARGET = "/var/cache/benchmark.file"
DELIVERY_SECONDS = 600.0


@contextmanager
def contests(bed: Bed, exchanges: Exchanges) -> Iterator[list[Contest]]:
    """What can be measured while connections to the hosts are open."""
    cluster = bed.cluster
    with opened(cluster) as connections, bed.ssh.kept(bed.first, bed.folder / "control") as ssh, ExitStack() as open_:
        artifact = max(survey(cluster, connections).supplies.all, key=lambda artifact: artifact.size)
        yield [
            _facts(bed.first, connections[bed.first], ssh, exchanges),
            _plan(bed, exchanges),
            _delivery(bed, connections[bed.first], ssh, artifact, open_),
        ]


def _facts(host: str, connection: Connection, ssh: OpenSsh, exchanges: Exchanges) -> Contest:
    """The larger of a plan's two readings, from the host on which there is most to read."""
    script = max((exchange.script for exchange in exchanges[host]), key=len)
    return Contest(
        "facts",
        "one batch of facts, one host, connections open",
        (
            Contender("kbootstrap's connection", lambda: connection.run_script(script).require()),
            Contender("ssh with ControlPersist", lambda: ssh.run(host, script)),
        ),
        repeats=READINGS,
    )


def _plan(bed: Bed, exchanges: Exchanges) -> Contest:
    """Answers to facts, facts and the inventory to steps, steps to what is due: without a host."""
    cluster, reading = bed.cluster, scripts(exchanges)
    return Contest(
        "plan",
        f"a plan made from answers, {len(bed.hosts)} hosts",
        (
            Contender("plan, in process", lambda: replay(cluster, exchanges)),
            Contender("parallel ssh, the reading", lambda: bed.ssh.run_all(reading)),
        ),
        repeats=PLANS,
    )


def _delivery(bed: Bed, connection: Connection, ssh: OpenSsh, artifact: Artifact, open_: ExitStack) -> Contest:
    """The largest artifact to one host, by each way, its digest compared on arrival."""
    sha256 = artifact.sha256
    # The function with which every way compares digests: it takes the faster program of those on the host.
    check = f"set -e\ncat >{TARGET}\n{fetch_from_folder(INCOMING)}is_whole {sha256} {TARGET}"

    def by(way: Way) -> Contender:
        addresses = {connection.name: str(bed.spec.hosts[connection.name].address)}
        deliver = open_.enter_context(delivering([artifact], addresses, way))

        def run() -> None:
            script = f"set -eu\n{deliver(connection, [sha256])}fetch {sha256} {TARGET}\n"
            connection.run_script(script, timeout=DELIVERY_SECONDS).require()

        return Contender(way, run)

    return Contest(
        "delivery",
        f"{artifact.ref} to one host, checked",
        (
            by("depot"),
            by("tunnel"),
            by("push"),
            Contender("ssh and cat", lambda: ssh.send(bed.first, artifact.path, check)),
        ),
        megabytes=artifact.size / 1e6,
    )
