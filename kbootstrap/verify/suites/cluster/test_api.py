"""The API as its clients find it."""

from kbootstrap.model.cluster import Cluster
from kbootstrap.verify.api import ApiAccess
from kbootstrap.verify.kube import Kube


def test_access(access: ApiAccess | str) -> None:
    """An administrator finds a way to the API."""
    assert not isinstance(access, str), f"no control-plane host lets us: {access}"


def test_version(api: Kube, cluster: Cluster) -> None:
    """The API is of the inventory's version."""
    assert api.get("/version")["gitVersion"] == f"v{cluster.kubernetes}", "an apiserver of another version answers"
