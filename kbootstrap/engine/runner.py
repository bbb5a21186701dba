"""Carries out a plan: tasks run as soon as what they wait for is done, hosts side by side."""

import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field

from kbootstrap.checks.check import Check
from kbootstrap.engine.boot import boot_id, booted
from kbootstrap.engine.order import Job, dependencies
from kbootstrap.engine.plan import Plan, Task
from kbootstrap.engine.script import finished, task_script
from kbootstrap.errors import CheckFailed, CommandFailed, HostsFailed, KbootstrapError
from kbootstrap.events import ChangeMade, Note, PhaseFinished, PhaseStarted, Sink
from kbootstrap.transport.connection import Connection

TASK_TIMEOUT = 900.0
"""Seconds that all changes of one phase on one host may take, before the timeouts' scale."""

BOOT_TIMEOUT = 600.0
"""Seconds from asking for a boot until the host answers again: servers test their memory for minutes."""

ANSWER_SECONDS = 60.0
"""Beyond its deadline, for a check's last try and its answer."""

MAX_PARALLEL = 64

Deliver = Callable[[Connection, Sequence[str]], str]
"""Makes artifacts (by digest) available to a host and returns the shell function `fetch` that gets them."""

Checks = Callable[[Task], Sequence[Check]]
"""What has to be true of a phase on a host before anything that waits for it begins."""

Guards = Callable[[Task], Sequence[AbstractContextManager[None]]]
"""What is held while clients of a host would feel its changes: entered before them, left after the checks.

A guard sees the failure of what it surrounds and decides what then becomes of the host.
"""


def unguarded(_task: Task) -> Sequence[AbstractContextManager[None]]:
    """No guards."""
    return ()


@dataclass(slots=True)
class Runner:
    """Executes one plan. `stop` may be set from outside: running tasks end, no further ones begin."""

    plan: Plan
    connections: Mapping[str, Connection]
    deliver: Deliver
    checks: Checks
    emit: Sink
    guards: Guards = unguarded
    scale: float = 1.0
    stop: threading.Event = field(default_factory=threading.Event)
    _failures: dict[Job, KbootstrapError] = field(default_factory=dict)

    def run(self) -> None:
        """Runs everything. Raises HostsFailed (or the only failure) after what was under way has ended."""
        tasks = {Job(task.phase, task.host): task for task in self.plan.tasks}
        waiting = dependencies(self.plan)
        running: dict[Future[None], Job] = {}
        done: set[Job] = set()
        with ThreadPoolExecutor(max_workers=min(MAX_PARALLEL, len(tasks) or 1)) as pool:
            while waiting or running:
                for job in [job for job, needed in waiting.items() if needed <= done]:
                    del waiting[job]
                    if self._stopped or self._is_out(job):
                        done.add(job)
                    else:
                        running[pool.submit(self._run_task, tasks[job])] = job
                if not running:
                    continue
                finished_now = self._wait(running)
                for future in finished_now:
                    done.add(self._settle(running.pop(future), future))
        self._raise()

    def _wait(self, running: Mapping[Future[None], Job]) -> set[Future[None]]:
        try:
            return wait(running, return_when=FIRST_COMPLETED).done
        except KeyboardInterrupt:
            self._interrupt()
            return set()

    def _interrupt(self) -> None:
        """The first time lets what is under way end; the second time cuts it short, which ends it on the hosts too."""
        if self.stop.is_set():
            for connection in self.connections.values():
                connection.close()
        else:
            self.emit(Note("stopping when what is under way has ended; interrupt again to cut it short"))
        self.stop.set()

    def _settle(self, job: Job, future: Future[None]) -> Job:
        error = future.exception()
        if isinstance(error, KbootstrapError):
            self._failures[job] = error
        elif error is not None:
            raise error
        return job

    def _is_out(self, job: Job) -> bool:
        """Whether an earlier phase has failed on this host."""
        return any(failed.host == job.host for failed in self._failures)

    @property
    def _stopped(self) -> bool:
        allowed = {phase.phase: phase.max_failures for phase in self.plan.playbook.phases}
        failed = [job.phase for job in self._failures]
        return self.stop.is_set() or any(failed.count(phase) > allowed[phase] for phase in failed)

    def _raise(self) -> None:
        failures = list(self._failures.values())
        if self.stop.is_set() and not failures:
            raise KeyboardInterrupt
        if len(failures) == 1:
            raise failures[0]
        if failures:
            raise HostsFailed(f"{len(failures)} hosts failed", failures)

    def _run_task(self, task: Task) -> None:
        if not task.changes and not self._is_looked_at(task):
            return
        started = time.monotonic()
        self.emit(PhaseStarted(task.phase, task.host))
        error: str | None = None
        try:
            with ExitStack() as held:
                for guard in self.guards(task) if task.disrupts else ():
                    held.enter_context(guard)
                if any(change.reboots for change in task.changes):
                    self._make_changes_and_boot(task)
                elif task.changes:
                    self._make_changes(task)
                for check in self.checks(task):
                    reach(check, task.host, self.connections, self.scale)
        except KbootstrapError as failure:
            error = str(failure)
            raise
        finally:
            self.emit(PhaseFinished(task.phase, task.host, time.monotonic() - started, len(task.changes), error))

    def _is_looked_at(self, task: Task) -> bool:
        """Whether the checks matter although nothing changes here: before others of a rolling phase change."""
        phase = self.plan.phase(task.phase)
        return phase.always or (
            phase.rolling
            and task.serving
            and any(other.changes for other in self.plan.tasks if other.phase == task.phase)
        )

    def _make_changes(self, task: Task) -> None:
        connection = self.connections[task.host]
        digests = [sha256 for change in task.changes for sha256 in change.deliveries]
        fetch = self.deliver(connection, digests) if digests else ""
        gentle = self.plan.phase(task.phase).gentle
        script = task_script(task.changes, fetch, secrets.token_hex(8), gentle=gentle, scale=self.scale)
        made: list[int] = []

        def on_line(line: str) -> None:
            number = finished(line, script.marker)
            if number is not None:
                made.append(number)
                self.emit(ChangeMade(task.phase, task.host, task.changes[number].title))

        result = connection.run_script(script.text, timeout=TASK_TIMEOUT * self.scale, on_line=on_line)
        if not result.ok:
            change = task.changes[min(len(made), len(task.changes) - 1)]
            raise CommandFailed(
                f"could not {change.title}",
                host=task.host,
                output=_without_markers(result.text, script.marker) + "\n" + result.errors,
                hint="run the same command again once the cause is gone: it continues from here",
            )

    def _make_changes_and_boot(self, task: Task) -> None:
        connection = self.connections[task.host]
        before = boot_id(connection)
        self._make_changes(task)
        booted(connection, before, BOOT_TIMEOUT * self.scale)


def reach(check: Check, host: str, connections: Mapping[str, Connection], scale: float) -> None:
    """Waits for a check of a host, there or at who can answer for it. Raises CheckFailed."""
    asked = next((name for name in check.asked if name in connections), host)
    deadline = check.deadline * scale
    result = connections[asked].run_script(check.script(scale), timeout=deadline + ANSWER_SECONDS)
    if not result.ok:
        raise CheckFailed(
            f"{check.name} was not reached within {deadline:.0f} s",
            host=host,
            output=result.text or result.errors,
            hint=check.hint or None,
        )


def _without_markers(text: str, marker: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith(marker)).strip()
