"""Who of the hosts goes last in a rolling phase: whoever leads the others, so that the lead moves once."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from kbootstrap.components.binaries import LOCAL_BIN
from kbootstrap.engine.plan import Plan, reordered
from kbootstrap.facts.etcd import EtcdStatus
from kbootstrap.facts.fact import read
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.parallel import on_all

ASK_SECONDS = 15.0
"""For a question; who does not answer in time is taken for no leader."""

_LEADS_CONTROLLERS = (
    f"holder=$({LOCAL_BIN / 'kubectl'} --request-timeout=5s --namespace=kube-system get lease kube-controller-manager"
    ' --output=jsonpath=\'{.spec.holderIdentity}\') && [ "${holder%_*}" = "$(hostname)" ]'
)


def leads_etcd(connection: Connection) -> bool:
    """Whether the host's etcd member is the leader."""
    fact = EtcdStatus(LOCAL_BIN / "etcdctl")
    status = read(connection, (fact,))[fact]
    return status is not None and status.member == status.leader


def leads_controllers(connection: Connection) -> bool:
    """Whether the host's controller-manager is the leader: a holder's identity begins with its host's name."""
    return connection.run(_LEADS_CONTROLLERS, timeout=ASK_SECONDS).ok


LEADERS: Mapping[str, Callable[[Connection], bool]] = MappingProxyType(
    {"etcd-leader": leads_etcd, "controllers-leader": leads_controllers}
)
"""By the names that playbooks use."""


def _leading(leads: Callable[[Connection], bool], connections: Mapping[str, Connection]) -> list[str]:
    asked = on_all(connections, lambda _name, connection: leads(connection))
    return [host for host, yes in asked.items() if yes]


def leaders_last(plan: Plan, connections: Mapping[str, Connection]) -> Plan:
    """The plan in the order that its playbook asks for. Asks only hosts of phases in which it matters."""
    last = {}
    for phase in plan.playbook.phases:
        felt = [task.host for task in plan.tasks if task.phase == phase.phase and task.disrupts]
        if phase.last is not None and len(felt) > 1:
            last[phase.phase] = _leading(LEADERS[phase.last], {host: connections[host] for host in felt})
    return reordered(plan, last)
