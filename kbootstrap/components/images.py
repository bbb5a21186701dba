"""The cluster's own images, imported into containerd where hosts do not pull them."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kbootstrap.artifacts.artifact import Artifact
from kbootstrap.components.binaries import CONTAINERD
from kbootstrap.components.site import Site
from kbootstrap.facts.fact import Fact, Facts, Single, scaled
from kbootstrap.steps.step import Change, Paths, Step, fingerprint

CTR = f"{CONTAINERD.program('ctr')} --namespace k8s.io"
DIGEST_LABEL = "kbootstrap.io/sha256"
FOLDER = "/var/lib/kbootstrap/images"

LISTING_SECONDS = 10
"""For containerd to say which images it has; scaled."""

NODE_IMAGES = ("pause", "coredns")


@dataclass(frozen=True, slots=True)
class ImportedImages(Single[Mapping[str, str]]):
    """The images of containerd's Kubernetes namespace: by reference, the digest of the archive that was imported,
    or nothing for one that was pulled. Empty while containerd does not run."""

    @property
    def command(self) -> str:
        return f"timeout {scaled(LISTING_SECONDS)} {CTR} images list"

    def value(self, output: bytes) -> Mapping[str, str]:
        rows = [line.split() for line in output.decode(errors="replace").splitlines()[1:]]
        return {row[0]: _label(row[-1]) for row in rows if row}


def _label(labels: str) -> str:
    pairs = dict(pair.partition("=")[::2] for pair in labels.split(","))
    return pairs.get(DIGEST_LABEL, "")


@dataclass(frozen=True, slots=True)
class ImportedImage:
    """An image archive in containerd; `pinned` keeps it from kubelet's garbage collection."""

    artifact: Artifact
    reference: str
    pinned: bool

    def needs(self) -> Sequence[Fact[Any]]:
        return (ImportedImages(),)

    def diff(self, seen: Facts, touched: Paths) -> Change | None:
        digest = self.artifact.sha256
        if seen[ImportedImages()].get(self.reference) == digest:
            return None
        reference = shlex.quote(self.reference)
        archive = f"{FOLDER}/{digest}.tar"
        labels = f"{DIGEST_LABEL}={digest}" + (" io.cri-containerd.pinned=pinned" if self.pinned else "")
        return Change(
            title=f"import image {self.reference}",
            script="\n".join(
                (
                    f"mkdir -p {FOLDER}",
                    f"fetch {digest} {archive}",
                    f"{CTR} images import {archive} >/dev/null",
                    f"{CTR} images label {reference} {labels} >/dev/null",
                    f"rm -f {archive}",
                )
            ),
            fingerprint=fingerprint("image", self.reference, digest, self.pinned),
            diff=f"{self.artifact.size:,} bytes, sha256 {digest}",
            deliveries=(digest,),
        )


def images(site: Site) -> list[Step]:
    """The images that this machine has for the nodes; hosts pull the others themselves.

    Healthy when `crictl images` on the host lists them.
    """
    return [
        ImportedImage(site.artifacts[name], site.release.image_reference(name), pinned=name == "pause")
        for name in NODE_IMAGES
        if name in site.artifacts
    ]
