"""Which keys are offered to a server, and in which order."""

import base64
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
from paramiko import AuthenticationException, PKey, SSHException, Transport

from kbootstrap.errors import Unreachable
from kbootstrap.transport.route import Target

DEFAULT_IDENTITIES = tuple(Path("~/.ssh") / name for name in ("id_ed25519", "id_ecdsa", "id_rsa"))

MAX_KEYS = 6
"""Keys offered before giving up: sshd's default MaxAuthTries."""


class Login:
    """Logs in to `target`: identity files first, then the agent, then the user's usual keys.

    The agent is asked only when it is needed: fifty connections would ask it fifty times. Given an identity file,
    only the agent's copy of that key is used.
    """

    def __init__(self, target: Target, load: Callable[[Path], PKey] = PKey.from_path) -> None:
        self._target = target
        self._read = load
        self._tried: list[str] = []

    def authenticate(self, transport: Transport) -> list[str]:
        """What paramiko calls once the host key has been verified. Raises Unreachable."""
        for name, key in self._keys():
            try:
                remaining = transport.auth_publickey(self._target.user, key)
            except AuthenticationException as error:
                self._tried.append(f"{name}: {_reason(error)}")
                if not transport.is_active():
                    raise self._refused() from error
            except SSHException as error:
                self._tried.append(f"{name}: {_reason(error)}")
                raise self._refused() from error
            else:
                if not remaining:
                    return remaining
                self._tried.append(f"{name}: accepted, but the server asks for {', '.join(remaining)} as well")
            if len(self._tried) >= MAX_KEYS:
                break
        raise self._refused()

    def _keys(self) -> Iterator[tuple[str, PKey]]:
        files = self._target.identity_files
        for file in files or [path.expanduser() for path in DEFAULT_IDENTITIES]:
            key = self._load(file, required=bool(files))
            if key is not None:
                yield str(file), key
        if self._target.agent and os.environ.get("SSH_AUTH_SOCK"):
            wanted = {blob for file in files if (blob := _public_blob(file)) is not None}
            for key in paramiko.Agent().get_keys():
                if not wanted or key.asbytes() in wanted:
                    yield f"agent ({key.comment or key.get_name()})", key

    def _load(self, file: Path, *, required: bool) -> PKey | None:
        try:
            return self._read(file)
        except FileNotFoundError:
            if required:
                self._tried.append(f"{file}: no such file")
        except OSError as error:
            self._tried.append(f"{file}: {error.strerror}")
        except (SSHException, ValueError, TypeError) as error:
            # paramiko, and cryptography below it, have several types for a missing passphrase, and one wording.
            locked = "password" in str(error).lower()
            self._tried.append(
                f"{file}: protected by a passphrase (add it to the agent: ssh-add {file})"
                if locked
                else f"{file}: not a private key that can be read ({_reason(error)})"
            )
        return None

    def _refused(self) -> Unreachable:
        return Unreachable(
            f"{self._target} refused the login",
            output="\n".join(self._tried) or "no key to offer",
            hint=(
                "check `user` and `identity_file`, and that the host's ~/.ssh/authorized_keys has the key; "
                f"to compare: ssh -p {self._target.port} {self._target.user}@{self._target.address} true"
            ),
        )


def _public_blob(file: Path) -> bytes | None:
    """The public half that lies beside a private key, if any."""
    try:
        words = Path(f"{file}.pub").read_text(errors="replace").split()
        return base64.b64decode(words[1])
    except (OSError, IndexError, ValueError):
        return None


def _reason(error: Exception) -> str:
    return str(error).strip() or type(error).__name__
