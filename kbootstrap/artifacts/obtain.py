"""The one way to an artifact: the cache, else a source."""

from collections.abc import Sequence

from kbootstrap.artifacts.artifact import Artifact, ArtifactRef
from kbootstrap.artifacts.cache import Cache
from kbootstrap.artifacts.source import SourceSettings
from kbootstrap.events import Sink, ignore


def obtain(
    wanted: Sequence[ArtifactRef],
    settings: SourceSettings,
    cache: Cache,
    emit: Sink = ignore,
) -> dict[ArtifactRef, Artifact]:
    """The files of the wanted artifacts, from the cache or the source that the settings name.

    Images that the hosts are to pull from a registry (origin `release`, or `auto` where releases answer) are
    missing in the answer unless the cache has them. Raises ArtifactError with the artifact and a remedy.
    """
    raise NotImplementedError
