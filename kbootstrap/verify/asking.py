"""Questions to daemons that suites have hosts ask, with curl."""

from testinfra.host import Host as Remote

from kbootstrap.model.cluster import Cluster
from kbootstrap.pki import paths

ANSWER_SECONDS = 5
"""For an answer, before the inventory's scale; a daemon that is well takes milliseconds."""


def readyz(host: Remote, cluster: Cluster, server: str, *options: str) -> str:
    """What the API says of itself at `server` (`host:port`): ok; or why there is no answer."""
    limit = f"--max-time {cluster.settings.timeouts.scaled(ANSWER_SECONDS)}"
    words = ("curl --silent --show-error --fail", limit, f"--cacert {paths.CA_CERTIFICATE}", *options)
    answer = host.run(" ".join((*words, f"https://{server}/readyz")))
    return str(answer.stdout or answer.stderr).strip()
