"""A whole verification: the sessions there are, run side by side and merged into one report."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import Lock

from kbootstrap.engine.selectors import limited
from kbootstrap.errors import InvalidInput, KbootstrapError
from kbootstrap.events import Note, Progress, Sink
from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.transport.connection import Connection
from kbootstrap.verify.api import opened_api
from kbootstrap.verify.catalogue import LIVE_SUITES, cluster_suites, host_suites
from kbootstrap.verify.report import CLUSTER, LIVE, Finding, Outcome, Report, Verdict, failed
from kbootstrap.verify.session import Job
from kbootstrap.verify.workers import ENDING_SECONDS, Crew, prepare
from kbootstrap.workflows.access import reached
from kbootstrap.workflows.image import Image, supplied

__all__ = ["Scope", "prepare", "scope", "verify", "verify_cluster"]

SESSIONS_AT_ONCE = 16
"""Each is a process of about 60 MB, most of it shared."""

MINIMUM_DAYS = 14
"""A certificate with fewer days left is a failure; `up` renews them long before. Of short-lived ones: a third."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What is looked at: the suites of these hosts, and what concerns all hosts together."""

    hosts: tuple[Host, ...]
    cluster: bool = True
    live: bool = True
    minimum_days: int = MINIMUM_DAYS
    left_out: tuple[str, ...] = ()
    """In words, what is not looked at."""


def scope(
    cluster: Cluster, limit: tuple[str, ...], *, hosts: bool = True, live: bool = True, minimum_days: int | None = None
) -> Scope:
    """What the options of the command mean. Raises InvalidInput for those that contradict each other."""
    if not hosts and not live:
        raise InvalidInput("--hosts-only and --live-only leave nothing to look at")
    if limit and not hosts:
        raise InvalidInput("live checks are about all hosts: --live-only does not go with --limit")
    chosen = limited(cluster, limit)
    days = min(MINIMUM_DAYS, cluster.settings.certificates.days // 3) if minimum_days is None else minimum_days
    if limit:
        together = "With --limit, what concerns all hosts together and the live checks are left out."
        return Scope(chosen, cluster=False, live=False, minimum_days=days, left_out=(together,))
    left_out = () if hosts and live else ("Live checks are left out." if hosts else "The hosts' suites are left out.",)
    return Scope(cluster.hosts if hosts else (), hosts, live, days, left_out)


def verify_cluster(cluster: Cluster, scope: Scope, emit: Sink) -> Report:
    """A verification over SSH; `emit` hears how it goes on. Hosts that cannot be reached are failures in the report."""
    everywhere = scope.cluster or scope.live
    total = _Total(emit)
    with reached(cluster, None if everywhere else scope.hosts) as (connections, failures):
        return verify(cluster, scope, connections, failures, lambda: supplied(cluster, emit), total)


@dataclass(slots=True)
class _Total:
    """Tells how many tests there were, and which failed."""

    emit: Sink
    done: int = 0

    def __call__(self, outcome: Outcome) -> None:
        self.done += 1
        self.emit(Progress("tests", self.done, None, "steps"))
        if outcome.verdict is Verdict.FAILED:
            self.emit(Note(f"{outcome.suite}: {outcome.title}", host=outcome.subject, level="warning"))


@dataclass(slots=True)
class _Told:
    """Everything that was told so far; from many threads."""

    pass_on: Callable[[Outcome], None]
    outcomes: list[Outcome] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def __call__(self, outcome: Outcome) -> None:
        with self.lock:
            self.outcomes.append(outcome)
            self.pass_on(outcome)


def verify(
    cluster: Cluster,
    scope: Scope,
    connections: Mapping[str, Connection],
    unreachable: Mapping[str, KbootstrapError],
    image: Callable[[], AbstractContextManager[Image]],
    tell: Callable[[Outcome], None],
) -> Report:
    """Looks at everything in scope, and tells every outcome as soon as it is known.

    `image` supplies what the live checks run; it is asked only where there are any. Raises KeyboardInterrupt when
    interrupted, after everything was put back.
    """
    began = time.monotonic()
    told = _Told(tell)
    for name, error in unreachable.items():
        told(failed(name, "ssh", "the host can be logged in to", Finding.of(error)))
    crew = Crew(cluster.settings.timeouts.scale)
    with ExitStack() as stack:
        together = scope.cluster or scope.live
        api = stack.enter_context(opened_api(cluster, connections)) if together else "it is not in scope"
        base = Job(LIVE, LIVE_SUITES, cluster, tuple(connections), scope.minimum_days, datetime.now(UTC), api)
        pool = stack.enter_context(ThreadPoolExecutor(SESSIONS_AT_ONCE, thread_name_prefix="verify"))
        sessions = [pool.submit(crew.run, job, connections, told) for job in _jobs(base, scope)]
        if scope.live:
            sessions.append(pool.submit(_live, base, crew, connections, image, told))
        _wait(sessions, crew)
    return Report(cluster.name, _ordered(cluster, told.outcomes), time.monotonic() - began, scope.left_out)


def _jobs(base: Job, scope: Scope) -> Iterator[Job]:
    if scope.cluster:
        yield replace(base, subject=CLUSTER, suites=cluster_suites(base.cluster))
    for host in scope.hosts:
        if host.name in base.hosts:
            yield replace(
                base, subject=host.name, suites=host_suites(base.cluster, host), hosts=(host.name,), api="not in scope"
            )


def _live(
    job: Job,
    crew: Crew,
    connections: Mapping[str, Connection],
    supply: Callable[[], AbstractContextManager[Image]],
    tell: Callable[[Outcome], None],
) -> None:
    try:
        with supply() as image:
            problems = _brought(image, {node.name: connections.get(node.name) for node in job.cluster.nodes})
    except KbootstrapError as error:
        tell(failed(LIVE, "image", "the image of the live checks can be had", Finding.of(error)))
        return
    crew.run(replace(job, image=image.reference, image_problems=problems), connections, tell)


def _brought(image: Image, nodes: Mapping[str, Connection | None]) -> dict[str, str]:
    """Brings the image to all nodes; what was in the way, by node."""
    with ThreadPoolExecutor(SESSIONS_AT_ONCE, thread_name_prefix="image") as pool:
        problems = pool.map(lambda connection: _problem(image, connection), nodes.values())
        return {name: problem for name, problem in zip(nodes, problems, strict=True) if problem}


def _problem(image: Image, connection: Connection | None) -> str | None:
    if connection is None:
        return "the host cannot be reached"
    try:
        image.bring(connection)
    except KbootstrapError as error:
        return "\n".join(part for part in (error.message, error.output) if part)
    return None


def _wait(sessions: Sequence[Future[None]], crew: Crew) -> None:
    """Until all have ended. Interrupted once, they put everything back; interrupted again, they are killed."""
    try:
        for session in sessions:
            session.result()
    except BaseException:
        crew.interrupt()
        try:
            wait(sessions, timeout=ENDING_SECONDS * crew.scale)
        finally:
            crew.kill()
        raise


def _ordered(cluster: Cluster, outcomes: Sequence[Outcome]) -> tuple[Outcome, ...]:
    """By subject: the hosts as in the inventory, then the cluster, then what is live."""
    places = {name: place for place, name in enumerate([*(host.name for host in cluster.hosts), CLUSTER, LIVE])}
    return tuple(sorted(outcomes, key=lambda outcome: places[outcome.subject]))
