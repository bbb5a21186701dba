"""The test image of live checks and probes, brought to the nodes where they do not pull it from a registry."""

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from kbootstrap.artifacts.artifact import Artifact
from kbootstrap.engine.delivery import delivering
from kbootstrap.events import Sink
from kbootstrap.model.cluster import Cluster
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.supplies import obtained, release_of

NAME = "agnhost"
"""Kubernetes' own test image: answers over HTTP, and asks others on behalf of who asks it."""

CTR = "/opt/kbootstrap/containerd/current/ctr --namespace k8s.io"
IMPORT_SECONDS = 300.0

Fetch = Callable[[Connection, Sequence[str]], str]
"""Gives the shell function `fetch DIGEST FILE` that works on a host."""

_SCRIPT = """\
set -eu
if {ctr} images list --quiet name=={reference} | grep -q .; then exit 0; fi
folder=$(mktemp -d -p /var/tmp)
trap 'rm -rf "$folder"' EXIT
fetch {sha256} "$folder/image.tar"
{ctr} images import "$folder/image.tar" >/dev/null
{ctr} images list --quiet name=={reference} | grep -q .
"""


@dataclass(frozen=True, slots=True)
class Image:
    """What live checks and probes run. Without an artifact the nodes pull it themselves."""

    reference: str
    artifact: Artifact | None = None
    fetch: Fetch | None = None

    def bring(self, connection: Connection) -> None:
        """Imports the image on a node that does not have it. Raises CommandFailed."""
        if self.artifact is None or self.fetch is None:
            return
        script = _SCRIPT.format(ctr=CTR, reference=shlex.quote(self.reference), sha256=self.artifact.sha256)
        fetch = self.fetch(connection, (self.artifact.sha256,))
        connection.run_script(f"{fetch}\n{script}", timeout=IMPORT_SECONDS * connection.scale).require(
            f"the image {self.reference} could not be imported",
            hint="on the host: journalctl -u containerd",
        )


@contextmanager
def supplied(cluster: Cluster, emit: Sink) -> Iterator[Image]:
    """The image, obtained and ready to be fetched by hosts while open. Raises ArtifactError."""
    settings = cluster.settings.artifacts
    release = release_of(cluster)
    reference = release.image_reference(NAME)
    if settings.images == "registry":
        yield Image(reference)
        return
    artifacts = list(obtained(cluster, release.images(NAME), emit).values())
    if not artifacts:
        yield Image(reference)
        return
    addresses = {host.name: host.ssh_address or str(host.address) for host in cluster.hosts if not host.ssh.jump}
    with delivering(artifacts, addresses, settings.delivery) as fetch:
        yield Image(reference, artifacts[0], fetch)
