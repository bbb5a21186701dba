"""The kinds of probes, by name. One that is sent from elsewhere has the place after a dot: `api-new.w1`."""

API_WRITES = ("write-new", "write-kept")
"""They create objects through the API."""

ETCD_WRITE = "etcd-write"
"""It puts keys straight into etcd, past the apiservers."""

WRITES = (*API_WRITES, ETCD_WRITE)

EDGE = "edge"
"""It asks for an application by name, where load balancers serve it; the application's name is its place."""


def name_at(kind: str, place: str) -> str:
    """The name of a probe of that kind from a place; the machine that probes has no name."""
    return f"{kind}.{place}" if place else kind


def kind_of(name: str) -> str:
    """The kind of a probe, wherever it is sent from."""
    return name.partition(".")[0]
