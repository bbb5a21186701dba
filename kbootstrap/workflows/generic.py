"""From the steps of a user's playbook to steps of the tool."""

from pathlib import Path, PurePosixPath

from kbootstrap.engine.generic import FileStep, GenericStep, TemplateStep
from kbootstrap.errors import InvalidInput
from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.render.renderer import render_text
from kbootstrap.steps.command import Command
from kbootstrap.steps.file import File
from kbootstrap.steps.package import Packages
from kbootstrap.steps.step import Step
from kbootstrap.steps.sysctl import Sysctls
from kbootstrap.steps.unit import Unit, UnitAbsent

SYSCTL_FOLDER = PurePosixPath("/etc/sysctl.d")


def to_step(generic: GenericStep, name: str, folder: Path, cluster: Cluster, host: Host) -> Step:
    """The step; `name` tells it from others of its playbook, `folder` is where its local files are."""
    if generic.file is not None:
        return _file(generic.file, _content(generic.file, folder))
    if generic.template is not None:
        text = _read(folder / generic.template.source).decode(errors="replace")
        return _file(generic.template, render_text(text, str(generic.template.source), cluster=cluster, host=host))
    if generic.package is not None:
        return Packages(generic.package.names)
    if generic.unit is not None:
        unit = generic.unit
        return Unit(unit.name, unit.inputs) if unit.running else UnitAbsent(unit.name)
    if generic.sysctl is not None:
        return Sysctls(SYSCTL_FOLDER / f"91-{name}.conf", generic.sysctl)
    assert generic.command is not None  # noqa: S101 - the schema allows nothing else
    return Command(generic.command.title, generic.command.run, generic.command.unless)


def _file(wanted: FileStep | TemplateStep, content: bytes) -> File:
    return File(wanted.path, content, int(wanted.mode, 8), wanted.owner, wanted.group, wanted.secret)


def _content(wanted: FileStep, folder: Path) -> bytes:
    return (wanted.content or "").encode() if wanted.source is None else _read(folder / wanted.source)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error
