"""Vagrant with a libvirt of its own, and what each command took."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.vagrant import box, project, sandbox
from tests.vagrant.project import Note, Project
from tests.vagrant.sandbox import Sandbox

NOTES = pytest.StashKey[list[str]]()
_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[NOTES] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """How long everything took."""
    for note in config.stash[NOTES]:
        terminalreporter.write_line(note)


@pytest.fixture(scope="session")
def note(request: pytest.FixtureRequest) -> Note:
    return request.config.stash[NOTES].append


@pytest.fixture(scope="session")
def work() -> Iterator[Path]:
    """A folder for disks, which are too large to be kept as pytest keeps its own."""
    with TemporaryDirectory(prefix="kbootstrap-vagrant-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def libvirt(work: Path) -> Iterator[Sandbox]:
    """A libvirtd of these tests' own. Nothing of it stays behind."""
    if os.geteuid() != 0:
        pytest.skip("libvirt in namespaces of its own needs root")
    forwarding = _FORWARDING.read_text()
    with sandbox.sandbox(_folder(work, "libvirt")) as made:
        network = made.network
        yield made
    assert network not in sandbox.networks()
    assert _FORWARDING.read_text() == forwarding


@pytest.fixture(scope="session")
def vagrant(libvirt: Sandbox, work: Path, note: Note) -> Project:
    """A project without machines."""
    made = box.ensure(Path.home() / box.CACHE)
    return project.make(_folder(work, "project"), libvirt, made, note)


@contextmanager
def machines(project: Project, topology: str) -> Iterator[None]:
    """The machines of a topology. At the end Vagrant has left none, and no network."""
    try:
        project.vagrant("up", topology=topology).expect()
        yield
    finally:
        project.vagrant("destroy", "--force", topology=topology).expect()
        assert project.sandbox.virsh("list", "--all") == project.sandbox.virsh("net-list", "--all") == ""


def _folder(work: Path, name: str) -> Path:
    made = work / name
    made.mkdir()
    return made
