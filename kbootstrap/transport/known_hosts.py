"""Which host keys are known, in OpenSSH's known_hosts format, and whether a key that a host shows is one of them."""

import base64
import binascii
import fcntl
import fnmatch
import hashlib
import hmac
import os
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kbootstrap.errors import Unreachable
from kbootstrap.model.cluster import HostKeys

DEFAULT_PORT = 22


class HostKeyRefused(Unreachable):
    """A host's key is unknown, has changed or was revoked. Trying again does not help."""


@dataclass(frozen=True, slots=True)
class HostKey:
    """A public host key: its type as in known_hosts (`ssh-ed25519`), and its bytes on the wire."""

    kind: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` prints it."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")
        return f"{self.kind} SHA256:{digest}"

    def line(self, name: str) -> str:
        """The line of known_hosts that makes it known."""
        return f"{name} {self.kind} {base64.b64encode(self.blob).decode()}"


@dataclass(frozen=True, slots=True)
class Known:
    """A key that known_hosts lists for a name, and where."""

    key: HostKey
    place: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Under which name a host's key is kept, where, and what to do with a new one."""

    name: str
    port: int
    files: tuple[Path, ...]
    policy: HostKeys

    @property
    def entry(self) -> str:
        """The name in known_hosts: with the port in brackets unless it is the usual one."""
        return self.name if self.port == DEFAULT_PORT else f"[{self.name}]:{self.port}"

    def known(self) -> list[Known]:
        """The keys listed for it, in the files' order.

        Like OpenSSH, an entry without a port serves when there is none with it.
        """
        return self._listed(self.entry) or (self._listed(self.name) if self.entry != self.name else [])

    def verify(self, shown: HostKey) -> None:
        """Accepts `shown` or raises HostKeyRefused. With accept-new, a first key is written to the first file."""
        self._refuse_revoked(shown)
        known = self.known()
        if any(item.key == shown for item in known):
            return
        if known:
            raise self._changed(shown, known)
        if self.policy is HostKeys.STRICT or not self.files:
            raise self._unknown(shown)
        self._accept(shown)

    def _listed(self, entry: str) -> list[Known]:
        return [
            Known(key, f"{file}:{number}")
            for file in self.files
            for number, marker, patterns, key in _lines(file)
            if marker is None and _names(patterns, entry)
        ]

    def _refuse_revoked(self, shown: HostKey) -> None:
        for file in self.files:
            for number, marker, patterns, key in _lines(file):
                if marker == "@revoked" and key == shown and _names(patterns, self.entry):
                    raise HostKeyRefused(
                        f"its host key {shown.fingerprint} is marked as revoked in {file}:{number}",
                        hint="give the host a new key, or remove the @revoked line if it is wrong",
                    )

    def _accept(self, shown: HostKey) -> None:
        """Appends under a lock, in one write, unless somebody else has just made the host known."""
        file = self.files[0]
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise HostKeyRefused(
                f"its new host key cannot be written to {file}: {error.strerror}",
                hint="make the file writable, or name another with `known_hosts`",
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            known = self.known()
            if any(item.key == shown for item in known):
                return
            if known:
                raise self._changed(shown, known)
            size = os.fstat(descriptor).st_size
            unfinished = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            os.write(descriptor, b"\n" * unfinished + f"{shown.line(self.entry)}\n".encode())
        finally:
            os.close(descriptor)

    def _unknown(self, shown: HostKey) -> HostKeyRefused:
        file = shlex.quote(str(self.files[0])) if self.files else "~/.ssh/known_hosts"
        return HostKeyRefused(
            f"its host key is not known: {shown.fingerprint}",
            hint=(
                "compare the fingerprint with the host's own (there: ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub), "
                f"then accept it with: echo '{shown.line(self.entry)}' >> {file}\n"
                "or set `host_keys: accept-new` to trust hosts that are seen for the first time"
            ),
        )

    def _changed(self, shown: HostKey, known: Iterable[Known]) -> HostKeyRefused:
        listed = ", ".join(f"{item.key.fingerprint} ({item.place})" for item in known)
        forget = "; ".join(
            f"ssh-keygen -R {shlex.quote(self.entry)} -f {shlex.quote(file)}"
            for file in dict.fromkeys(item.place.rpartition(":")[0] for item in known)
        )
        return HostKeyRefused(
            f"its host key has changed: known is {listed}; it shows {shown.fingerprint}",
            hint=(
                f"if the host was reinstalled, forget the old key with: {forget}\n"
                "if not, somebody may be between you and the host: do not go on"
            ),
        )


Line = tuple[int, str | None, str, HostKey]


def _lines(file: Path) -> Iterator[Line]:
    """Number, marker, name patterns and key of each line that can be read; others are skipped, as OpenSSH does."""
    try:
        content = file.read_text(errors="replace")
    except FileNotFoundError:
        return
    except OSError as error:
        raise HostKeyRefused(
            f"the known host keys in {file} cannot be read: {error.strerror}",
            hint="make the file readable, or name another with `known_hosts`",
        ) from error
    for number, text in enumerate(content.splitlines(), 1):
        fields = text.split()
        if not fields or fields[0].startswith("#"):
            continue
        marker = fields.pop(0) if fields[0].startswith("@") else None
        if len(fields) < 3:
            continue
        try:
            yield number, marker, fields[0], HostKey(fields[1], base64.b64decode(fields[2], validate=True))
        except (binascii.Error, ValueError):
            continue


def _names(patterns: str, entry: str) -> bool:
    """Whether a line's names (plain, hashed, with wildcards, negated with `!`) mean `entry`."""
    found = False
    for pattern in patterns.split(","):
        if pattern.startswith("|1|"):
            found = found or _hashes(pattern, entry)
        elif pattern.startswith("!"):
            if _matches(pattern[1:], entry):
                return False
        else:
            found = found or _matches(pattern, entry)
    return found


def _matches(pattern: str, entry: str) -> bool:
    # fnmatch gives brackets a meaning that they do not have here: [host]:port.
    return fnmatch.fnmatchcase(entry.lower(), pattern.lower().replace("[", "[[]"))


def _hashes(pattern: str, entry: str) -> bool:
    try:
        salt, expected = (base64.b64decode(part) for part in pattern.removeprefix("|1|").split("|"))
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(hmac.digest(salt, entry.lower().encode(), "sha1"), expected)
