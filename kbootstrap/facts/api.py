"""Asking the API from a control-plane host with curl: kubectl takes ten times as much to start."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from kbootstrap.facts.fact import scaled
from kbootstrap.pki.paths import CA_CERTIFICATE, KUBERNETES

ADMIN_CONF = KUBERNETES / "admin.conf"
"""The kubeconfig of a control-plane host's administrator."""

KUBELET_CONF = KUBERNETES / "kubelet.conf"
"""That of a node's kubelet, which may read its own node."""

ANSWER_SECONDS = 10
"""For all answers together, where nothing else is said."""

AS_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
"""What `kubectl get` prints, as JSON: a line of `cells` for each object."""


TRIES = 3
"""Of a patient question. An apiserver that has just started, or whose etcd elects a leader, says no for a moment."""


def ask(
    queries: Sequence[str],
    accept: str = "application/json",
    kubeconfig: PurePosixPath = ADMIN_CONF,
    *,
    patient: bool = False,
    seconds: int = ANSWER_SECONDS,
) -> str:
    """Shell that prints what the API answers to each query (a path, perhaps with parameters), as a line of JSON.

    The key of who asks stays in the kubeconfig and in pipes. Fails when no apiserver answers. A `patient` one asks
    again, a second later: refusals that pass are printed as well. All answers together may take so many `seconds`,
    scaled; curl's own limit would be for each.
    """
    limit = scaled(seconds)
    again = f" --retry {TRIES - 1} --retry-all-errors --retry-delay 1 --retry-max-time {limit}" if patient else ""
    urls = " ".join(f'"$server"{shlex.quote(_compact(query))}' for query in queries)
    return f"""\
of() {{ sed -n 's/^ *'"$1"': "\\{{0,1\\}}\\([^"]*\\)"\\{{0,1\\}}$/\\1/p' {kubeconfig}; }}
server=$(of server) && [ -n "$server" ] || exit 1
timeout {limit} curl --disable --silent --noproxy '*'{again} --header {shlex.quote(f"Accept: {accept}")} \\
  --cacert {CA_CERTIFICATE} --cert /dev/fd/3 --key /dev/fd/4 {urls} 3<<END_OF_CERTIFICATE 4<<END_OF_KEY
$(of client-certificate-data | base64 -d)
END_OF_CERTIFICATE
$(of client-key-data | base64 -d)
END_OF_KEY
"""


def _compact(query: str) -> str:
    """Without this the apiserver breaks lines for curl, and only for curl."""
    return f"{query}{'&' if '?' in query else '?'}pretty=0"


def answers(output: bytes) -> Iterator[Mapping[str, Any]]:
    """Each answer that came whole; refusals are none."""
    for line in output.splitlines():
        try:
            answer = json.loads(line)
        except ValueError:
            continue
        if isinstance(answer, dict) and answer.get("kind") != "Status":
            yield answer


def items(answer: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The objects of a list; those of an empty one may be null."""
    return answer.get("items") or ()


def collection(api_version: str, kind: str) -> str:
    """The path of all objects of a kind."""
    base = "/api/v1" if api_version == "v1" else f"/apis/{api_version}"
    return f"{base}/{_plural(kind.lower())}"


def _plural(kind: str) -> str:
    """How Kubernetes' own kinds are called in paths."""
    if kind.endswith("s"):
        return f"{kind}es"
    return f"{kind[:-1]}ies" if kind.endswith("cy") else f"{kind}s"
