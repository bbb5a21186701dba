"""The peers: Ansible and pyinfra from PyPI, each with the same small deployment, as its own documentation advises.

Ansible: pipelining, a fork per host, connections that persist, no gathering of facts. pyinfra is parallel as it is.
"""

import hashlib
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bed import Bed, run
from kbootstrap.artifacts.artifact import Artifact
from kbootstrap.artifacts.cache import default_cache
from kbootstrap.artifacts.packages import packages
from kbootstrap.engine.delivery import delivering
from kbootstrap.errors import CommandFailed
from kbootstrap.facts.fact import read
from kbootstrap.facts.identity import Identity
from kbootstrap.facts.packages import InstalledPackages
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.parallel import on_all
from kbootstrap.workflows.supplies import DEBIAN_ARCH

HERE = Path(__file__).parent
DEPLOYMENT = HERE / "deployment"
VENV = HERE / ".venv"
LOCK = HERE / "requirements.lock"

ON_HOSTS = ("python3", "python3-apt")
"""What Ansible's modules need on the hosts; pyinfra needs nothing."""
DEBS = "/var/cache/benchmark-packages"
INSTALL_SECONDS = 600.0
ANSIBLE = {
    "ANSIBLE_PIPELINING": "True",
    "ANSIBLE_HOST_KEY_CHECKING": "True",
    "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=60s",
    "ANSIBLE_NOCOLOR": "True",
    "ANSIBLE_GATHERING": "explicit",
}


def install() -> None:
    """Both tools, in a virtual environment of their own, in the versions of requirements.lock."""
    note, digest = VENV / "installed", hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if note.exists() and note.read_text() == digest:
        return
    run([sys.executable, "-m", "venv", "--clear", str(VENV)], cwd=HERE)
    pip = [str(VENV / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--require-hashes", "--requirement", str(LOCK)], cwd=HERE)
    note.write_text(digest)


def versions() -> dict[str, str]:
    """The peers' versions, as they are locked."""
    return dict(re.findall(r"^(ansible-core|pyinfra)==(\S+)", LOCK.read_text(), re.MULTILINE))


@dataclass(frozen=True, slots=True)
class Peers:
    """The tools, and inventories in their own formats of a bed's hosts."""

    bed: Bed

    def prepare(self, connections: Mapping[str, Connection]) -> None:
        """Lets both deploy once, so that nothing is left to do."""
        install()
        _python(self.bed, connections)
        self._ansible_inventory.write_text(_for_ansible(self.bed))
        self._pyinfra_inventory.write_text(_for_pyinfra(self.bed))
        self.ansible(changes=True)
        self.pyinfra(changes=True)

    def ansible(self, *, changes: bool) -> None:
        """Deploys with Ansible; `CommandFailed` if it changes something and ought not to, or the other way round."""
        command = [_program("ansible-playbook"), "--inventory", str(self._ansible_inventory)]
        command += ["--forks", str(len(self.bed.hosts)), "--extra-vars", f"@{DEPLOYMENT / 'set.json'}"]
        folder = str(self.bed.folder / "ansible")
        said = run(
            [*command, str(DEPLOYMENT / "site.yml")],
            cwd=self.bed.folder,
            environment={**ANSIBLE, "ANSIBLE_HOME": folder, "ANSIBLE_SSH_CONTROL_PATH_DIR": folder},
        )
        counts = [int(count) for count in re.findall(r"changed=(\d+)", said)]
        fine = len(counts) == len(self.bed.hosts) and all((count > 0) == changes for count in counts)
        _require(said, fine=fine, changes=changes)

    def pyinfra(self, *, changes: bool) -> None:
        """Deploys with pyinfra; `CommandFailed` if it changes something and ought not to, or the other way round."""
        inventory, deployment = str(self._pyinfra_inventory), str(DEPLOYMENT / "deploy.py")
        said = run([_program("pyinfra"), "--yes", "--json", inventory, deployment], cwd=self.bed.folder)
        totals = json.loads(said)["results"]["totals"]
        _require(said, fine=not totals["error"] and (totals["success"] > 0) == changes, changes=changes)

    @property
    def _ansible_inventory(self) -> Path:
        return self.bed.folder / "ansible.json"

    @property
    def _pyinfra_inventory(self) -> Path:
        return self.bed.folder / "pyinfra_hosts.py"


def _program(name: str) -> str:
    return str(VENV / "bin" / name)


def _require(said: str, *, fine: bool, changes: bool) -> None:
    if not fine:
        raise CommandFailed(f"{'changes' if changes else 'no change'} on any host were expected", output=said)


def _for_ansible(bed: Bed) -> str:
    """An inventory in YAML, of which JSON is a part."""
    hosts = {name: {"ansible_host": str(bed.spec.hosts[name].address)} for name in bed.hosts}
    everywhere = {
        "ansible_user": "root",
        "ansible_ssh_common_args": f"-F {bed.lab.ssh_config}",
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    return json.dumps({"all": {"hosts": hosts, "vars": everywhere}})


def _for_pyinfra(bed: Bed) -> str:
    """An inventory in Python: a list of hosts with what is to be known of each."""
    login = {
        "ssh_user": "root",
        "ssh_key": str(bed.lab.identity_file),
        "ssh_known_hosts_file": str(bed.lab.known_hosts),
        "ssh_strict_host_key_checking": "yes",
    }
    hosts = [(name, {**login, "ssh_hostname": str(bed.spec.hosts[name].address)}) for name in bed.hosts]
    return f"hosts = {hosts!r}\n"


def _python(bed: Bed, connections: Mapping[str, Connection]) -> None:
    """Installs what Ansible needs on the hosts, which have no package sources of their own."""
    addresses = {name: str(bed.spec.hosts[name].address) for name in connections}
    seen = on_all(connections, lambda _, connection: read(connection, (Identity(), InstalledPackages())))
    debs: dict[str, tuple[Artifact, ...]] = {}
    for name, facts in seen.items():
        identity, installed = facts[Identity()], facts[InstalledPackages()]
        arch = DEBIAN_ARCH[identity.arch]
        debs[name] = packages(
            ON_HOSTS, release=identity.codename, arch=arch, installed=installed, cache=default_cache()
        ).debs
    with delivering([deb for some in debs.values() for deb in some], addresses, "depot") as deliver:

        def put(name: str, connection: Connection) -> None:
            if debs[name]:
                fetch = deliver(connection, [deb.sha256 for deb in debs[name]])
                connection.run_script(_install(debs[name], fetch), timeout=INSTALL_SECONDS).require()

        on_all(connections, put)


def _install(debs: Sequence[Artifact], fetch: str) -> str:
    """apt, not dpkg: it knows in which order packages can be unpacked that depend on each other beforehand."""
    lines = [f"set -eu\nmkdir -p {DEBS}\ncd {DEBS}\n{fetch}", *(f"fetch {deb.sha256} {deb.sha256}.deb" for deb in debs)]
    install = "DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends ./*.deb"
    return "\n".join((*lines, install, f"rm -r {DEBS}\n"))
