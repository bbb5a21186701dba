"""How steps and facts on a control-plane host talk to the API."""

from kbootstrap.components.binaries import KUBECTL
from kbootstrap.facts.api import ADMIN_CONF
from kbootstrap.facts.fact import scaled

CACHE = "/var/cache/kbootstrap/kubectl"
"""Keeps what kubectl discovers, so that a second run asks only once."""

REQUEST_TIMEOUT = 10
"""Seconds."""

FIELD_MANAGER = "kbootstrap"


def kubectl(arguments: str, *, timeout: int = REQUEST_TIMEOUT) -> str:
    """Shell that runs kubectl as administrator; `timeout` in seconds is for each request, scaled."""
    options = f"--kubeconfig={ADMIN_CONF} --cache-dir={CACHE} --request-timeout={scaled(timeout)}s"
    return f"{KUBECTL.program()} {options} {arguments}"
