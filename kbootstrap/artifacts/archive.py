"""Takes single files out of release archives."""

import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from kbootstrap.errors import ArtifactError


def extract(archive: Path, members: Mapping[str, str], target: Path) -> dict[str, Path]:
    """Writes the named members (name to path inside) as plain files to `target`, and answers where they are.

    Only contents are taken: no paths, modes, links or owners from the archive. Raises ArtifactError if the
    archive is damaged or a member is missing.
    """
    wanted = {PurePosixPath(path): name for name, path in members.items()}
    written = {}
    try:
        with tarfile.open(archive) as opened:
            for member in opened:
                name = wanted.get(PurePosixPath(member.name))
                if name is not None and (content := opened.extractfile(member)) is not None:
                    written[name] = target / name
                    with written[name].open("wb") as file:
                        shutil.copyfileobj(content, file)
    except (tarfile.TarError, EOFError) as error:
        raise ArtifactError(f"{archive.name} is a damaged archive: {error}") from error
    if missing := members.keys() - written.keys():
        raise ArtifactError(f"{archive.name} does not contain {', '.join(sorted(missing))}")
    return written
