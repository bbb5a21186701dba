"""Which task waits for which."""

from typing import NamedTuple

from kbootstrap.engine.plan import Plan
from kbootstrap.engine.strategy import batches


class Job(NamedTuple):
    """A phase on a host."""

    phase: str
    host: str


def dependencies(plan: Plan) -> dict[Job, set[Job]]:
    """For every task, the tasks that must have ended before it begins.

    What clients would feel goes phase by phase, also where phases do not wait for each other otherwise: never is one
    host stopped for one thing while another one is for something else.
    """
    hosts = {phase.phase: plan.hosts(phase) for phase in plan.playbook.phases}
    found: dict[Job, set[Job]] = {}
    felt: set[Job] = set()
    for phase in plan.playbook.phases:
        here, everywhere = plan.playbook.waits(phase)
        common = {Job(name, host) for name in everywhere for host in hosts[name]}
        before: set[Job] = set()
        tasks = [task for task in plan.tasks if task.phase == phase.phase]
        for batch in batches(phase, tasks):
            for task in batch:
                own = {Job(name, task.host) for name in here if task.host in hosts[name]}
                found[Job(task.phase, task.host)] = common | own | before | (felt if task.disrupts else set())
            before = {Job(task.phase, task.host) for task in batch}
        felt = felt | {Job(task.phase, task.host) for task in tasks if task.disrupts}
    return found
