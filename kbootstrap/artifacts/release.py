"""The source `release`: what the projects publish, at their own addresses or on a mirror of them."""

import json
import re
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, Thread

from kbootstrap.artifacts.archive import extract
from kbootstrap.artifacts.catalogue import load_digests
from kbootstrap.artifacts.recipes import Download
from kbootstrap.artifacts.source import Job, Provided, SourceSettings
from kbootstrap.artifacts.transfer import Patience, Unavailable, fetch, fetch_text
from kbootstrap.errors import ArtifactError
from kbootstrap.events import Progress, Sink

_SERVER_FAULT = 500
_SHA256 = re.compile(r"\b([0-9a-fA-F]{64})\b")


@dataclass(frozen=True, slots=True)
class ReleaseSource:
    """Downloads, and checks against the pinned digest or the one that is published beside the file."""

    settings: SourceSettings
    _answers: dict[str, bool] = field(default_factory=dict)
    _asking: Lock = field(default_factory=Lock)

    def key(self, job: Job, name: str) -> str | None:
        """The file's published address; a version is published once."""
        download = job.project.download
        if download is None:
            return None
        return f"release {_filled(download.file, job, name)}{f'#{name}' if download.member else ''}"

    def answers(self, job: Job) -> bool:
        """Whether the place that the job's files would come from answers at once (asked once per place)."""
        if job.project.download is None:
            return False
        return self._place_answers(self._url(_filled(job.project.download.file, job, job.names[0])))

    def registry_answers(self, job: Job) -> bool:
        """Whether the registry of the job's image answers at once."""
        image = job.project.image
        return image is not None and self._place_answers(f"https://{image.repository.split('/', 1)[0]}/v2/")

    def provide(self, job: Job, work: Path, emit: Sink) -> Provided:
        """Downloads the job's files; archives are unpacked here."""
        download = job.project.download
        if download is None:
            raise Unavailable(f"{job.subject} is not downloaded: hosts pull images from their registry")
        made_from = f"downloaded from {self.settings.mirror or download.file.split('/', 1)[0]}"
        if download.member is None:
            files = {name: self._file(download, job, name, work, emit) for name in job.names}
            return Provided(files, made_from)
        archive = self._file(download, job, job.names[0], work, emit)
        members = {name: _filled(download.member, job, name) for name in job.names}
        return Provided(extract(archive, members, work), made_from)

    def _place_answers(self, url: str) -> bool:
        host = url.split("/", 3)[2]
        with self._asking:
            if host not in self._answers:
                self._answers[host] = answers(url, self.settings.probe_timeout)
            return self._answers[host]

    def _file(self, download: Download, job: Job, name: str, work: Path, emit: Sink) -> Path:
        address = _filled(download.file, job, name)
        subject = job.subject if download.member else str(job.ref(name))
        expected = self._published_digest(download, address, job, name)
        target = work / f"{name}.download"
        digest = fetch(
            self._url(address),
            target,
            self._patience(),
            lambda done, total: emit(Progress(subject, done, total)),
        )
        if digest != expected:
            raise ArtifactError(
                f"{subject}: {self._url(address)} has the digest {digest} instead of {expected}",
                hint="it was damaged or replaced on the way: check the mirror or proxy; it was not kept",
            )
        return target

    def _published_digest(self, download: Download, address: str, job: Job, name: str) -> str:
        pinned = load_digests().get(address)
        if pinned is not None:
            return pinned
        if download.digest is None:
            raise Unavailable(
                f"{job.subject} publishes no digest to check {address} against", hint="use the source `build`"
            )
        place = _filled(download.digest, job, name, file=address)
        text = fetch_text(self._url(place), self._patience())
        digest = find_digest(text, address.rsplit("/", 1)[-1])
        if digest is None:
            raise ArtifactError(f"{job.subject}: {self._url(place)} has no SHA-256 of {address}")
        return digest

    def _url(self, address: str) -> str:
        mirror = self.settings.mirror
        return f"https://{address}" if mirror is None else f"{mirror.rstrip('/')}/{address}"

    def _patience(self) -> Patience:
        settings = self.settings
        return Patience(settings.stall_timeout, settings.download_deadline, settings.retry_pause)


def find_digest(text: str, file: str) -> str | None:
    """The SHA-256 of `file` in what is published: a bare digest, sha256sum's lines, or GitHub's answer."""
    if text.lstrip().startswith("{"):
        return _github_digest(text, file)
    lines = [line.split() for line in text.splitlines() if _SHA256.search(line)]
    for words in lines:
        if len(words) > 1 and words[-1].lstrip("*./") == file:
            return words[0].lower()
    return lines[0][0].lower() if len(lines) == 1 and len(lines[0]) == 1 else None


def _github_digest(text: str, file: str) -> str | None:
    """The digest of one of a release's files in GitHub's description of that release."""
    with suppress(ValueError, TypeError, KeyError, AttributeError):
        digests = {asset["name"]: asset["digest"] for asset in json.loads(text)["assets"]}
        kind, _, digest = digests[file].partition(":")
        return digest.lower() if kind == "sha256" and _SHA256.fullmatch(digest) else None
    return None


def answers(url: str, timeout: float) -> bool:
    """Whether a server answers anything at all at `url` within `timeout` seconds, name look-up included."""
    answered: list[bool] = []

    def ask() -> None:
        request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - an https address of ours
        try:
            with urllib.request.urlopen(request, timeout=timeout):  # noqa: S310
                answered.append(True)
        except urllib.error.HTTPError as error:
            answered.append(error.code < _SERVER_FAULT)
        except (OSError, ValueError):
            answered.append(False)

    thread = Thread(target=ask, daemon=True)
    thread.start()
    thread.join(timeout)
    return bool(answered and answered[0])


def _filled(pattern: str, job: Job, name: str, **more: str) -> str:
    return pattern.format(version=job.version, arch=job.arch, name=name, **more)
