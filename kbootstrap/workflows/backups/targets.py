"""The targets as this machine sees them, with an rclone of its own: also when no host of the cluster is left."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kbootstrap.components.backup import rclone_config, remote_path
from kbootstrap.errors import CommandFailed
from kbootstrap.events import Note, Sink, ignore
from kbootstrap.model.cluster import Cluster
from kbootstrap.private import private_folder
from kbootstrap.workflows.supplies import named_files

LIST_SECONDS = 60.0
COPY_SECONDS = 3600.0
_RCLONE = ("rclone", "--contimeout=10s", "--timeout=60s", "--retries=2", "--low-level-retries=2")
_NO_SUCH_FOLDER = 3
"""rclone's exit code."""


@dataclass(frozen=True, slots=True)
class TargetFolder:
    """A cluster's folder at a target. Raises CommandFailed with rclone's last words."""

    name: str
    path: str
    config: Path

    def names(self) -> Sequence[str]:
        """The names of its files; none where there is no such folder."""
        done = self._rclone("lsf", "--files-only", self.path, timeout=LIST_SECONDS)
        if done.returncode == _NO_SUCH_FOLDER:
            return ()
        return [name for name in self._required(done, "cannot be read").splitlines() if not name.startswith(".")]

    def fetch(self, name: str, target: Path) -> None:
        """Copies a file to this machine."""
        self._required(self._rclone("copyto", f"{self.path}/{name}", str(target)), f"{name} cannot be read")

    def keep(self, name: str, content: bytes) -> None:
        """Writes a small file, whole or not at all."""
        temporary = f"{self.path}/.new.{name}"
        self._required(self._rclone("rcat", temporary, stdin=content), f"{name} cannot be written")
        self._required(self._rclone("moveto", temporary, f"{self.path}/{name}"), f"{name} cannot be written")

    def _rclone(
        self, *arguments: str, stdin: bytes = b"", timeout: float = COPY_SECONDS
    ) -> subprocess.CompletedProcess[bytes]:
        command = [*_RCLONE, "--config", str(self.config), *arguments]
        try:
            return subprocess.run(
                command, input=stdin, capture_output=True, timeout=timeout, check=False, env=_environment()
            )
        except subprocess.TimeoutExpired:
            raise CommandFailed(f"the target {self.name} does not answer within {timeout:.0f} s") from None

    def _required(self, done: subprocess.CompletedProcess[bytes], what: str) -> str:
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise CommandFailed(f"target {self.name}: {what}", output="\n".join(said[-3:]))
        return done.stdout.decode(errors="replace")


def _environment() -> dict[str, str]:
    """Without what would speak for other accounts than the inventory's."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "RCLONE_"))}


@contextmanager
def target_sources(cluster: Cluster, emit: Sink = ignore) -> Iterator[tuple[TargetFolder, ...]]:
    """The targets of the inventory; none where this machine has no rclone. Folders of hosts are none here."""
    wanted = cluster.settings.backup
    remote = {name: target for name, target in wanted.targets.items() if target.type != "local"}
    if remote and shutil.which("rclone") is None:
        emit(Note("this machine has no rclone: the targets cannot be asked from here", level="warning"))
        remote = {}
    with private_folder() as folder:
        config = folder / "rclone.conf"
        config.touch(mode=0o600)
        config.write_bytes(rclone_config(wanted, named_files(cluster) if remote else {}) if remote else b"")
        yield tuple(
            TargetFolder(name, remote_path(name, target, cluster.name), config) for name, target in remote.items()
        )
