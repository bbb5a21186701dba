"""The way to the cluster's API: a tunnel to an apiserver and a certificate that lasts a day."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from kbootstrap.errors import KbootstrapError
from kbootstrap.model.cluster import Cluster
from kbootstrap.pki import paths
from kbootstrap.pki.authority import Authority
from kbootstrap.pki.issue import issue
from kbootstrap.pki.spec import CertificateSpec
from kbootstrap.transport.connection import Connection

USER = CertificateSpec("kbootstrap-verify", ("system:masters",), client=True)
"""Who asks, as the audit log shows it; the group may do everything, whatever RBAC says."""

CERTIFICATE_DAYS = 1
"""The shortest that can be issued: a verification takes less than a minute."""

SERVER_NAME = "kubernetes"
"""A name that every apiserver's certificate has, whatever address it is reached by."""


@dataclass(frozen=True, slots=True)
class ApiAccess:
    """What a client of the API needs; all PEM. Kept in memory, and in files of mode 0600 where a client uses it."""

    port: int
    """On this machine's loopback."""
    authority: bytes
    certificate: bytes
    key: bytes = field(repr=False)


@contextmanager
def opened_api(cluster: Cluster, connections: Mapping[str, Connection]) -> Iterator[ApiAccess | str]:
    """Access through the first control-plane host that lets us; or why none does."""
    problems = []
    with ExitStack() as stack:
        for host in cluster.control_planes:
            if host.name not in connections:
                continue
            try:
                yield _access(connections[host.name], str(host.address), cluster.settings.endpoint.port, stack)
            except (KbootstrapError, ValueError) as error:
                problems.append(f"{host.name}: {error}")
            else:
                return
        yield "; ".join(problems) or "no control-plane host can be reached"


def _access(connection: Connection, address: str, port: int, stack: ExitStack) -> ApiAccess:
    authority = Authority(connection.get(str(paths.CA_CERTIFICATE)), connection.get(str(paths.CA_KEY)))
    certificate, key = issue(authority, USER, datetime.now(UTC), CERTIFICATE_DAYS)
    local = stack.enter_context(connection.tunnel(address, port))
    return ApiAccess(local, authority.certificate, certificate, key)
