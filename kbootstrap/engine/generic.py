"""The steps that a user's own playbook may have: a closed set, each with a closed schema."""

from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import Field, model_validator

from kbootstrap.model.section import Section

Mode = Annotated[str, Field(pattern=r"^0?[0-7]{3,4}$", description="octal, e.g. 0644")]


class _Placed(Section):
    """Where a file goes on the host, and whose it is."""

    path: PurePosixPath
    mode: Mode = "0644"
    owner: str = "root"
    group: str = "root"
    secret: bool = Field(False, description="its content is masked in diffs")

    @model_validator(mode="after")
    def _absolute(self) -> "_Placed":
        if not self.path.is_absolute():
            raise ValueError(f"{self.path} must be an absolute path on the host")
        return self


class FileStep(_Placed):
    """A file with the given content, or that of a local file."""

    content: str | None = None
    source: Path | None = Field(None, description="a local file, relative to the playbook")

    @model_validator(mode="after")
    def _one_content(self) -> "FileStep":
        if (self.content is None) == (self.source is None):
            raise ValueError("give either `content` or `source`")
        return self


class TemplateStep(_Placed):
    """A file rendered from a local Jinja2 template that knows `cluster` and `host`."""

    source: Path


class PackageStep(Section):
    """Packages from the host's own sources."""

    names: tuple[str, ...]


class UnitStep(Section):
    """A systemd unit that is enabled and runs, restarted when one of `inputs` changes; or that is off."""

    name: Annotated[str, Field(pattern=r"^[\w@:.\\-]+\.(service|socket|timer|path|mount|target)$")]
    inputs: tuple[PurePosixPath, ...] = ()
    running: bool = True


class CommandStep(Section):
    """A command that runs as root while its guard fails."""

    title: str
    run: str
    unless: str = Field(description="shell that succeeds when nothing is to be done")


class GenericStep(Section):
    """One step: exactly one of these keys."""

    file: FileStep | None = None
    template: TemplateStep | None = None
    package: PackageStep | None = None
    unit: UnitStep | None = None
    sysctl: dict[str, str] | None = None
    command: CommandStep | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "GenericStep":
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            kinds = ", ".join(type(self).model_fields)
            raise ValueError(f"a step is exactly one of {kinds}; this one has {' and '.join(given) or 'none'}")
        return self
