"""The keys of a lab: one that opens all hosts, and host keys known before the hosts boot."""

import os
from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from kbootstrap.lab.spec import LabSpec

SSH_PORT = 22

CACHE = ".cache/kbootstrap/lab"
"""Where the labs keep what is the user's, below the home folder; the base root there outlives them."""


def user_folder(lab: str) -> str:
    """Where the lab's keys are, below the home folder of the user who made it."""
    return f"{CACHE}/{lab}"


def ensure_key(path: Path) -> str:
    """The public half of the key at `path`, as OpenSSH writes it; makes the pair if it is not there."""
    public = path.with_suffix(".pub")
    if not public.exists():  # written last
        key = Ed25519PrivateKey.generate()
        private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        write(path, private, mode=0o600)
        write(public, key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b"\n")
    return public.read_text().strip()


def write(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write a file that is never seen half-written, nor with more rights than `mode`."""
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
    unfinished.rename(path)


def known_hosts(spec: LabSpec, host_keys: Mapping[str, str]) -> str:
    """A known_hosts file with every host's public key."""
    return "".join(
        f"{_known_as(host.address, spec.ssh_port(name))} {host_keys[name]}\n" for name, host in spec.hosts.items()
    )


def _known_as(address: IPv4Address, port: int) -> str:
    return str(address) if port == SSH_PORT else f"[{address}]:{port}"


def ssh_config(spec: LabSpec, identity_file: Path, known_hosts_file: Path) -> str:
    """A configuration with which `ssh -F` knows every host by name."""
    blocks = [
        f"Host *\n  IdentityFile {identity_file}\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {known_hosts_file}\n  GlobalKnownHostsFile none\n  StrictHostKeyChecking yes\n"
    ]
    for name, host in spec.hosts.items():
        jump = f"  ProxyJump {host.jump}\n" if host.jump else ""
        blocks.append(
            f"Host {name}\n  HostName {host.address}\n  Port {spec.ssh_port(name)}\n  User {spec.login(name)}\n{jump}"
        )
    return "\n".join(blocks)
