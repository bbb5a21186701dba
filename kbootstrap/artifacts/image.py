"""Container images made without a registry: one static binary in one layer, as a docker-archive tar."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

from kbootstrap.artifacts.recipes import Image


def write_image(target: Path, binary: Path, reference: str, image: Image, *, name: str, arch: str) -> None:
    """Writes the image `reference`, with `binary` as `/NAME`, to `target`: same input, same bytes."""
    layer = target.with_suffix(".layer")
    _write_layer(binary, name, layer)
    with layer.open("rb") as file:
        layer_digest = hashlib.file_digest(file, "sha256").hexdigest()
    config = json.dumps(_config(name, image, arch, layer_digest)).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [reference], "Layers": [f"{layer_digest}/layer.tar"]}]
    with tarfile.open(target, "w") as archive:
        _put(archive, config_name, config)
        with layer.open("rb") as file:
            archive.addfile(_member(f"{layer_digest}/layer.tar", layer.stat().st_size, 0o644), file)
        _put(archive, "manifest.json", json.dumps(manifest).encode())
    layer.unlink()


def _write_layer(binary: Path, name: str, target: Path) -> None:
    scratch = tarfile.TarInfo("tmp")
    scratch.type, scratch.mode = tarfile.DIRTYPE, 0o1777
    with tarfile.open(target, "w") as layer, binary.open("rb") as file:
        layer.addfile(scratch)
        layer.addfile(_member(name, binary.stat().st_size, 0o755), file)


def _config(name: str, image: Image, arch: str, layer_digest: str) -> dict[str, object]:
    return {
        "architecture": arch,
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "User": image.user,
            "WorkingDir": "/",
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Entrypoint": [f"/{name}"],
            "Cmd": list(image.command),
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": f"COPY {name} /{name}"}],
    }


def _member(name: str, size: int, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, mode
    return member


def _put(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    archive.addfile(_member(name, len(content), 0o644), io.BytesIO(content))
