"""Questions to daemons that suites have hosts ask, with curl and etcdctl."""

from testinfra.host import Host as Remote

from kbootstrap.model.cluster import Cluster
from kbootstrap.pki import paths

ANSWER_SECONDS = 5
"""For an answer, before the inventory's scale; a daemon that is well takes milliseconds."""


def limit(cluster: Cluster) -> str:
    """curl's option that bounds an answer."""
    return f"--max-time {cluster.settings.timeouts.scaled(ANSWER_SECONDS)}"


def status_code(cluster: Cluster) -> str:
    """A curl that prints the HTTP status of an answer, 000 where there is none; the URL is still to be said."""
    return f"curl --silent {limit(cluster)} --output /dev/null --write-out '%{{http_code}}'"


def etcdctl(cluster: Cluster) -> str:
    """An etcdctl whose commands do not take longer."""
    return f"/usr/local/bin/etcdctl --command-timeout={cluster.settings.timeouts.scaled(ANSWER_SECONDS)}s"


def readyz(host: Remote, cluster: Cluster, server: str, *options: str) -> str:
    """What the API says of itself at `server` (`host:port`): ok; or why there is no answer."""
    words = ("curl --silent --show-error --fail", limit(cluster), f"--cacert {paths.CA_CERTIFICATE}", *options)
    answer = host.run(" ".join((*words, f"https://{server}/readyz")))
    return str(answer.stdout or answer.stderr).strip()
