"""Takes the writing probes' objects away, straight from etcd.

Through the API, the namespace's controller deletes them one by one, which is as much work as writing them was: on two
cores the objects of one minute at full rate took three minutes, and whatever was measured next felt it.
"""

from collections.abc import Iterator, Sequence

from kbootstrap.errors import KbootstrapError
from kbootstrap.events import Note, Sink
from kbootstrap.probes import kinds
from kbootstrap.probes.application import Stage
from kbootstrap.probes.samples import Track
from kbootstrap.probes.spec import object_name
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.etcd_writes import etcdctl

DIGITS = 3
"""Of a name that may be anything: a thousand objects in a transaction, of which every apiserver hears in one answer."""


def kept_at(stage: Stage) -> str:
    """Where etcd has the objects of a run, unless the apiservers' --etcd-prefix is another than the default."""
    return f"/registry/configmaps/{stage.namespace}/"


def sweep(members: Sequence[Connection], stage: Stage, tracks: Sequence[Track], emit: Sink) -> None:
    """Deletes them; what it cannot is told, and goes with the namespace."""
    try:
        for prefix in prefixes(tracks):
            etcdctl(members, f"del --prefix {kept_at(stage)}{prefix}")
    except KbootstrapError as error:
        emit(Note(f"the probes' objects are left to the namespace's controller: {error}"))


def prefixes(tracks: Sequence[Track]) -> Iterator[str]:
    """Of the names of all objects that were written through the API, a thousand to each."""
    for track in tracks:
        if kinds.kind_of(track.name) in kinds.API_WRITES:
            for serial in range(0, track.highest + 1, 10**DIGITS):
                yield object_name(track.name, serial)[:-DIGITS]
