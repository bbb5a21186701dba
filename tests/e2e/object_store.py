"""A real object store on this machine: versitygw, an S3 server over a folder, built from its Go module."""

import os
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kbootstrap.artifacts.cache import default_cache
from kbootstrap.artifacts.toolchain import find_go

MODULE = "github.com/versity/versitygw/cmd/versitygw"
VERSION = "v1.8.0"
GO = "1.25.0"
"""What its go.mod asks for at least; a newer one is fetched by Go itself where that may be."""
BUILD_SECONDS = 1800
"""Measured: 780 s on two cores with sixty others' processes waiting; it is kept in the cache."""

ACCESS_KEY, SECRET_KEY = "backup-robot", "not-a-secret-outside-of-tests"


def program() -> Path:
    """The server's program, built when it is asked for first."""
    folder = default_cache().root / "test-tools" / f"versitygw-{VERSION}"
    if not (folder / "versitygw").exists():
        folder.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "GOBIN": str(folder), "GOFLAGS": "-buildvcs=false", "CGO_ENABLED": "0"}
        subprocess.run(
            [find_go(GO).path, "install", f"{MODULE}@{VERSION}"],
            env=environment,
            check=True,
            timeout=BUILD_SECONDS,
            cwd=folder,
        )
    return folder / "versitygw"


def bucket_target(store: "ObjectStore", bucket: str, folder: Path) -> dict[str, Any]:
    """A new bucket, as the inventory in `folder` has it for a target."""
    (store.folder / bucket).mkdir(parents=True)
    secret = folder / "s3-secret"
    secret.touch(mode=0o600)
    secret.write_text(SECRET_KEY)
    return {
        "type": "s3",
        "path": f"{bucket}/prod",
        "options": {"provider": "Other", "endpoint": store.url, "access_key_id": ACCESS_KEY},
        "secrets": {"secret_access_key": {"file": secret.name}},
    }


@dataclass(slots=True)
class ObjectStore:
    """A server at `address:port`; its buckets are the folders in `folder`."""

    folder: Path
    address: str
    port: int = 9321
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}"

    def start(self) -> None:
        """It answers afterwards."""
        environment = {**os.environ, "ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}
        self._process = subprocess.Popen(
            [str(program()), "--port", f"{self.address}:{self.port}", "posix", str(self.folder)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        # As if it were on another machine: it takes no processor from the hosts (man 7 sched, autogroup).
        with suppress(OSError):  # where the kernel has no such groups
            Path(f"/proc/{self._process.pid}/autogroup").write_text("19")
        for _ in range(100):
            try:
                urllib.request.urlopen(self.url, timeout=1)
            except urllib.error.HTTPError:
                return  # it wants to know who asks
            except OSError:
                time.sleep(0.1)
        raise AssertionError("the object store does not answer")

    def stop(self) -> None:
        """As if it had lost power."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
