"""Which task waits for which."""

from typing import NamedTuple

from kbootstrap.engine.plan import Plan
from kbootstrap.engine.strategy import batches


class Job(NamedTuple):
    """A phase on a host."""

    phase: str
    host: str


def dependencies(plan: Plan) -> dict[Job, set[Job]]:
    """For every task, the tasks that must have ended before it begins."""
    hosts = {phase.phase: plan.hosts(phase) for phase in plan.playbook.phases}
    found: dict[Job, set[Job]] = {}
    for phase in plan.playbook.phases:
        here, everywhere = plan.playbook.waits(phase)
        common = {Job(name, host) for name in everywhere for host in hosts[name]}
        before: set[Job] = set()
        for batch in batches(phase, [task for task in plan.tasks if task.phase == phase.phase]):
            jobs = {Job(task.phase, task.host) for task in batch}
            for job in jobs:
                own = {Job(name, job.host) for name in here if job.host in hosts[name]}
                found[job] = common | own | before
            before = jobs
    return found
