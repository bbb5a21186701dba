"""The kinds of probes, by name."""

API_WRITES = ("write-new", "write-kept")
"""They create objects through the API."""

ETCD_WRITE = "etcd-write"
"""It puts keys straight into etcd, past the apiservers."""

WRITES = (*API_WRITES, ETCD_WRITE)
