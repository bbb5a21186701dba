"""A lab: made, looked at, switched and taken away again. Everything else goes over SSH.

Everything a lab puts on this machine is called after it, and is found by that name: a state file may be lost.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from kbootstrap.errors import LabError
from kbootstrap.events import Note, Sink, ignore
from kbootstrap.lab import base, cgroups, keys, machine, network, reach
from kbootstrap.lab.command import require_programs
from kbootstrap.lab.host import Host
from kbootstrap.lab.lock import locked
from kbootstrap.lab.nspawn import container
from kbootstrap.lab.qemu import virtual_machine
from kbootstrap.lab.qemu.accelerator import KVM, accelerator
from kbootstrap.lab.spec import LabSpec

_LOCK_SECONDS = 300
_KILL_SECONDS = 30
_BOOT_SECONDS = 60
_BOOT_SECONDS_PER_HOST = 2  # fifty hosts boot in 20 s on two cores (measured)
_BOOT_SECONDS_PER_VM = 60  # emulated ones are slow, and slower on a machine with other work
_PROBE_SECONDS = 3
_LOOK_SECONDS = 2
_VM_SECONDS = 10
"""For a look at hosts some of which are virtual machines: an emulated sshd that has work takes seconds to greet."""
_PARALLEL = 16
_LAST_WORDS = 20
"""Lines of a console shown when a host does not come up."""


@dataclass(frozen=True, slots=True)
class HostStatus:
    """How a host is."""

    name: str
    address: str
    ssh_port: int
    roles: tuple[str, ...]
    vm: bool
    on: bool
    ssh: bool


class _Machines(BaseModel):
    """What the virtual machines of a lab have in common: the base root, and what runs their instructions."""

    base: Path
    accelerator: str


class _State(BaseModel):
    """What is remembered of a lab: how it was described, and what its hosts have grown on."""

    spec: LabSpec
    base: Path | None = None
    vm: _Machines | None = None


class Lab:
    """A lab on this machine, by name. Needs root."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = machine.STATE / name
        self.user_folder = Path.home() / keys.user_folder(name)

    @property
    def identity_file(self) -> Path:
        """The private key that opens every host."""
        return self.user_folder / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """Every host's key."""
        return self.user_folder / "known_hosts"

    @property
    def ssh_config(self) -> Path:
        """For `ssh -F`: knows every host by name."""
        return self.user_folder / "ssh_config"

    @property
    def spec(self) -> LabSpec:
        """What the lab was made from; `LabError` if there is no such lab."""
        return self._state().spec

    @classmethod
    def up(cls, spec: LabSpec, emit: Sink = ignore) -> "Lab":
        """Make the lab, or what is missing of it; returns when every host's sshd answers.

        Hosts can be added to a lab that is there; anything else about it cannot be changed: `LabError`.
        """
        _require_root()
        require_programs(vms=any(host.vm for host in spec.hosts.values()))
        lab = cls(spec.name)
        with lab._locked() as lock:
            if not lab._state_file.exists():
                lab._remove()  # what a `down` that was cut short has left
            network.require_free(spec)
            state = lab._remember(spec, emit)
            hosts = [lab._host(state, name) for name in spec.hosts]
            if network.create(spec):
                each(Host.power_off, hosts)  # a host from before has lost its link
            lab._lay_out(spec, hosts)
            off = [host for host in hosts if not host.is_on()]
            if off:
                emit(Note(f"booting {len(off)} of {len(hosts)} hosts"))
                each(lambda host: host.power_on(lock), off)
            lab.wait_ssh()
        return lab

    def down(self, emit: Sink = ignore) -> None:
        """Take away everything of this lab, also of one that was half made or half removed."""
        _require_root()
        with self._locked():
            if self.traces():
                emit(Note(f"removing lab {self.name}"))
            self._remove()
            left = self.traces()
            if left:
                raise LabError(f"not everything of lab {self.name} could be removed", output="\n".join(left))

    def traces(self) -> list[str]:
        """Everything of this lab that is on this machine, by its name (without its lock)."""
        folders = [folder for folder in (self.folder, self.user_folder) if folder.exists()]
        return [*map(str, cgroups.groups(self.name)), *network.traces(self.name), *map(str, folders)]

    def status(self) -> list[HostStatus]:
        """How each host is, right now. `LabError` if there is no such lab."""
        state = self._state()
        on = {name for name in state.spec.hosts if self._host(state, name).is_on()}
        answering = reach.answering(self._doors(state.spec, on), timeout=_patience(state.spec, on, _PROBE_SECONDS))
        return [
            HostStatus(
                name=name,
                address=str(host.address),
                ssh_port=state.spec.ssh_port(name),
                roles=host.roles,
                vm=host.vm is not None,
                on=name in on,
                ssh=name in answering,
            )
            for name, host in state.spec.hosts.items()
        ]

    def emulates(self) -> bool:
        """Whether it has virtual machines whose instructions the processor does not run itself."""
        vm = self._state().vm
        return vm is not None and vm.accelerator != KVM

    def power_off(self, host: str) -> None:
        """Cut a host's power; nothing happens if it is off."""
        target = self._host(self._state(), host)
        with self._locked():
            target.power_off()

    def power_on(self, host: str) -> None:
        """Boot a host that is off; does not wait (see `wait_ssh`). Nothing happens if it is on."""
        target = self._host(self._state(), host)
        with self._locked() as lock:
            target.power_on(lock)

    def wait_ssh(self, hosts: Iterable[str] | None = None, timeout: float | None = None) -> None:
        """Return when the sshd of these hosts (default: all) answers; `LabError` after `timeout` seconds."""
        state = self._state()
        names = set(state.spec.hosts if hosts is None else hosts)
        vms = sum(state.spec.hosts[name].vm is not None for name in names)
        patience = timeout or _BOOT_SECONDS + _BOOT_SECONDS_PER_HOST * len(names) + _BOOT_SECONDS_PER_VM * vms
        deadline = time.monotonic() + patience
        while names:
            look = _patience(state.spec, names, _LOOK_SECONDS)
            names -= reach.answering(self._doors(state.spec, names), timeout=look)
            off = sorted(name for name in names if not self._host(state, name).is_on())
            silent = off or (sorted(names) if time.monotonic() > deadline else [])
            if silent:
                raise LabError(
                    f"{', '.join(silent)} {'went off' if off else f'no SSH after {patience:g} s'}",
                    output=_last_words(self._host(state, silent[0]).console),
                    hint=f"`kbootstrap lab status --name {self.name}` shows which hosts run",
                )

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Nobody else changes this lab meanwhile. The lock file goes with the lab."""
        path = machine.LOCKS / f"kbootstrap-lab-{self.name}"
        with locked(path, timeout=_LOCK_SECONDS) as lock:
            try:
                yield lock
            finally:
                if not self.folder.exists():
                    path.unlink()

    def _remove(self) -> None:
        """The state goes first: a lab that has none is no lab, and whoever comes next goes on with removing it."""
        self._state_file.unlink(missing_ok=True)
        cgroups.kill(self.name, timeout=_KILL_SECONDS)
        network.remove(self.name)
        cgroups.remove(self.name, timeout=_KILL_SECONDS)
        shutil.rmtree(self.user_folder, ignore_errors=True)
        machine.release(self.folder)

    @property
    def _state_file(self) -> Path:
        return self.folder / "lab.json"

    def _state(self) -> _State:
        try:
            return _State.model_validate_json(self._state_file.read_text())
        except FileNotFoundError as error:
            raise LabError(f"there is no lab {self.name}", hint="`kbootstrap lab up` makes one") from error
        except ValidationError as error:
            raise LabError(
                f"lab {self.name} was made by another version of kbootstrap",
                hint=f"use that one, or `kbootstrap lab down --name {self.name}`",
            ) from error

    def _remember(self, spec: LabSpec, emit: Sink) -> _State:
        """The lab's state with `spec`, which may only add hosts to what it was."""
        earlier = None
        if self._state_file.exists():
            earlier = self._state()
            if earlier.spec == spec:
                return earlier
            _refuse_changes(earlier.spec, spec)
        state = _grown(spec, earlier, emit)
        machine.claim(self.folder)
        keys.write(self._state_file, state.model_dump_json().encode())
        return state

    def _host(self, state: _State, name: str) -> Host:
        if name not in state.spec.hosts:
            raise LabError(f"lab {self.name} has no host {name}", hint=f"it has {', '.join(state.spec.hosts)}")
        folder, hardware = self.folder / "hosts" / name, state.spec.hosts[name].vm
        if hardware is not None and state.vm is not None:
            machines = state.vm
            return virtual_machine.VirtualMachine(
                state.spec, name, folder, machines.base, machines.accelerator, hardware
            )
        if hardware is None and state.base is not None:
            return container.Container(state.spec, name, folder, state.base)
        raise LabError(f"lab {self.name} does not know what {name} grows on", hint="`kbootstrap lab down`, then `up`")

    def _lay_out(self, spec: LabSpec, hosts: Sequence[Host]) -> None:
        """Disks for the hosts, and for the user what opens them."""
        private = self.folder / "id_ed25519"
        public = keys.ensure_key(private)
        each(lambda host: host.prepare(public), hosts)
        self.user_folder.mkdir(parents=True, exist_ok=True)
        keys.write(self.identity_file, private.read_bytes(), mode=0o600)
        keys.write(self.known_hosts, keys.known_hosts(spec, {host.name: host.host_key() for host in hosts}).encode())
        keys.write(self.ssh_config, keys.ssh_config(spec, self.identity_file, self.known_hosts).encode())

    def _doors(self, spec: LabSpec, hosts: Iterable[str]) -> list[reach.Door]:
        return [
            reach.Door(
                host=name,
                address=str(spec.hosts[name].address),
                port=spec.ssh_port(name),
                jump=spec.hosts[name].jump,
                ssh_config=self.ssh_config,
            )
            for name in hosts
        ]


def each(action: Callable[[Host], None], hosts: Iterable[Host]) -> None:
    """Do `action` to all hosts at once; the first error is raised when all are done."""
    with ThreadPoolExecutor(_PARALLEL) as pool:
        for _ in pool.map(action, hosts):
            pass


def _patience(spec: LabSpec, names: Iterable[str], seconds: float) -> float:
    """For a look at these hosts, of which containers need no more than `seconds`."""
    return _VM_SECONDS if any(spec.hosts[name].vm is not None for name in names) else seconds


def _require_root() -> None:
    if os.geteuid() != 0:
        raise LabError("a lab needs root", hint="run the command with sudo, or as root")


def _grown(spec: LabSpec, earlier: _State | None, emit: Sink) -> _State:
    """A state for `spec` in which hosts that were there grow on what they did."""
    cache = Path.home() / keys.CACHE
    base_root, vm = (earlier.base, earlier.vm) if earlier else (None, None)
    if base_root is None and any(host.vm is None for host in spec.hosts.values()):
        base_root = base.ensure(cache, container.recipe(), emit)
    if vm is None and any(host.vm is not None for host in spec.hosts.values()):
        root = base.ensure(cache, virtual_machine.recipe(), emit)
        vm = _Machines(base=root, accelerator=accelerator(virtual_machine.kernel(root)))
    return _State(spec=spec, base=base_root, vm=vm)


def _refuse_changes(old: LabSpec, new: LabSpec) -> None:
    changed = [name for name, host in old.hosts.items() if new.hosts.get(name) != host]
    if changed or old.model_copy(update={"hosts": new.hosts}) != new:
        raise LabError(
            f"lab {old.name} is there already and is a different one"
            + (f": {', '.join(changed)} would change or go" if changed else ""),
            hint=f"`kbootstrap lab down --name {old.name}` first, or take another name",
        )


def _last_words(console: Path) -> str:
    try:
        return "\n".join(console.read_text(errors="replace").splitlines()[-_LAST_WORDS:])
    except FileNotFoundError:
        return ""
