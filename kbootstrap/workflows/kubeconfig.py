"""`kubeconfig`: access to the cluster for a person, signed with the authority that its hosts hold."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from kbootstrap.errors import CheckFailed, HostsFailed, InvalidInput, KbootstrapError
from kbootstrap.facts.fact import read
from kbootstrap.facts.paths import PathState
from kbootstrap.model.cluster import Cluster
from kbootstrap.pki import paths
from kbootstrap.pki.authority import Authority
from kbootstrap.pki.issue import issue
from kbootstrap.pki.kubeconfig import kubeconfig_text
from kbootstrap.pki.spec import CertificateSpec
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.access import reached

MODE = 0o600


@dataclass(frozen=True, slots=True)
class Wanted:
    """Who the kubeconfig is for (a user and groups, as RBAC knows them), and for how long."""

    user: str
    groups: tuple[str, ...]
    lifetime: timedelta


def make_kubeconfig(cluster: Cluster, wanted: Wanted) -> str:
    """A kubeconfig with a new client certificate; its server is the cluster's endpoint."""
    authority = _authority(cluster)
    spec = CertificateSpec(wanted.user, wanted.groups, client=True)
    certificate, key = issue(authority, spec, datetime.now(UTC), wanted.lifetime / timedelta(days=1))
    return kubeconfig_text(
        server_url=f"https://{cluster.endpoint_host}:{cluster.settings.endpoint.port}",
        cluster_name=cluster.name,
        user=wanted.user,
        authority=authority.certificate,
        certificate=certificate,
        key=key,
    )


def _authority(cluster: Cluster) -> Authority:
    """From the first control-plane host that has it."""
    with reached(cluster, cluster.control_planes) as (connections, failures):
        for connection in connections.values():
            if (found := _authority_on(connection)) is not None:
                return found
        reached_any = bool(connections)
    if not reached_any:
        raise HostsFailed("no control-plane host can be reached", list(failures.values()))
    raise CheckFailed(
        "no control-plane host has the cluster's authority",
        hint="is there a cluster yet? `kbootstrap up` makes it",
    )


def _authority_on(connection: Connection) -> Authority | None:
    certificate, key = PathState(paths.CA_CERTIFICATE), PathState(paths.CA_KEY)
    seen = read(connection, (certificate, key))
    if not (seen[certificate].content and seen[key].content):
        return None
    return Authority(seen[certificate].content, seen[key].content)


def write_kubeconfig(text: str, path: Path, *, merge: bool = False) -> None:
    """Writes a kubeconfig that only its owner can read, atomically.

    With `merge` it is added to what the file has already, and becomes its current context; what is there under the
    same names is replaced, everything else stays. Raises InvalidInput when that file is no kubeconfig.
    """
    try:
        if merge and path.exists():
            text = merged(path.read_text(encoding="utf-8"), text)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE), "w", encoding="utf-8") as file:
            file.write(text)
        temporary.replace(path)
    except (OSError, UnicodeDecodeError) as error:
        raise KbootstrapError(f"{path} cannot be written: {error}", hint="choose another --output") from error


def merged(existing: str, added: str) -> str:
    """`existing` with the cluster, user and context of `added`."""
    try:
        result = yaml.safe_load(existing) or {}
        new = yaml.safe_load(added)
        for section in ("clusters", "users", "contexts"):
            names = {entry["name"] for entry in new[section]}
            kept = [entry for entry in result.get(section) or [] if entry["name"] not in names]
            result[section] = [*kept, *new[section]]
        result["current-context"] = new["current-context"]
    except (yaml.YAMLError, TypeError, KeyError, AttributeError) as error:
        raise InvalidInput("the existing file is not a kubeconfig", hint="write to another file") from error
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Config", **result}, sort_keys=False)
