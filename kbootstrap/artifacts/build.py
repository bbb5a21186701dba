"""The source `build`: binaries and images from Go modules, with the local Go toolchain."""

import hashlib
import json
import platform
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kbootstrap.artifacts.gomodule import (
    GoCommand,
    GoModule,
    copy_without,
    fetch_module,
    go_environment,
    wrapper_go_mod,
)
from kbootstrap.artifacts.image import write_image
from kbootstrap.artifacts.process import run_tool
from kbootstrap.artifacts.recipes import CBuild, GoBuild
from kbootstrap.artifacts.source import Job, Provided, SourceSettings
from kbootstrap.artifacts.toolchain import find_go
from kbootstrap.errors import ArtifactError
from kbootstrap.events import Progress, Sink

_RECIPE_FORMAT = 1
"""Raised when this file builds differently from the same catalogue lines."""
_KEY_LENGTH = 16
"""Hex digits: enough to tell recipes apart, short enough to read."""
_C_HINT = "it needs a C compiler and libraries: `apt-get install gcc libc6-dev pkg-config libseccomp-dev`"
_MAJOR_SUFFIX = re.compile(r"v\d+")
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_PROGRESS_INTERVAL = 0.2
"""Seconds between two progress events of a build."""


@dataclass(frozen=True, slots=True)
class BuildSource:
    """Builds from source. Go's own caches stay the user's, so the second build of a project is quick."""

    settings: SourceSettings

    def key(self, job: Job, name: str) -> str | None:
        """A digest of everything in the catalogue that the build follows; Go's own version is not in it."""
        recipe, image = job.project.go or job.project.c, job.project.image
        if recipe is None:
            return None
        followed = [
            _RECIPE_FORMAT,
            job.version,
            job.arch,
            recipe.module_version(job.version),
            recipe.model_dump(exclude={"commands", "source_versions"}),
            recipe.commands[name] if isinstance(recipe, GoBuild) else None,
            image.model_dump() if image else None,
        ]
        digest = hashlib.sha256(json.dumps(followed, sort_keys=True).encode()).hexdigest()
        return f"build {name} {job.version} {digest[:_KEY_LENGTH]}"

    def provide(self, job: Job, work: Path, emit: Sink) -> Provided:
        """Builds the job's files, all with one run of the compiler."""
        if job.project.go is not None:
            built = _build_go(job.project.go, job, work, self.settings.build_deadline, emit)
        elif job.project.c is not None:
            built = _build_c(job.project.c, job, work, self.settings.build_deadline)
        else:
            raise ArtifactError(f"{job.subject} cannot be built from source", hint="use the source `release`")
        image = job.project.image
        if image is None:
            return built
        packed = {name: work / f"{name}.tar" for name in built.files}
        for name, target in packed.items():
            write_image(target, built.files[name], image.reference(job.version), image, name=name, arch=job.arch)
        return Provided(packed, built.made_from)


def _build_go(recipe: GoBuild, job: Job, work: Path, deadline: float, emit: Sink) -> Provided:
    module = fetch_module(recipe.module, recipe.module_version(job.version), work, deadline)
    toolchain = find_go(module.go)
    go = GoCommand(
        toolchain.path,
        _main_module(recipe, module, work),
        _environment(recipe, job, work),
        deadline,
        subject=job.subject,
        hint=_C_HINT if recipe.static_c else None,
    )
    packages = {name: recipe.commands[name] for name in job.names}
    flags = ["-buildvcs=false", f"-tags={','.join(recipe.tags)}"]
    packages_needed = go.run("list", "-deps", *flags, *packages.values(), heard=lambda _line: emit(_begun(job)))
    output = work / "out"
    output.mkdir()
    watch = _Compiling(job.subject, len(packages_needed.splitlines()), emit)
    linker = f"-ldflags={_linker_flags(recipe, job.version)}"
    go.run("build", "-v", "-trimpath", *flags, linker, "-o", f"{output}/", *packages.values(), heard=watch.heard)
    watch.finished()
    files = {name: output / _file_name(package) for name, package in packages.items()}
    return Provided(files, f"built from {module.path} {module.version} with {toolchain}")


def _begun(job: Job) -> Progress:
    """Modules are being fetched: nothing is compiled yet, and nobody knows how much there will be."""
    return Progress(job.subject, 0, None, "steps")


def _main_module(recipe: GoBuild, module: GoModule, work: Path) -> Path:
    """The folder of the module that Go builds in."""
    folder = work / "module"
    if recipe.without:
        copy_without(module, recipe.without, folder)
    else:
        folder.mkdir()
        (folder / "go.mod").write_text(wrapper_go_mod(module, recipe.also))
    return folder


def _environment(recipe: GoBuild, job: Job, work: Path) -> dict[str, str]:
    native = _MACHINES.get(platform.machine()) == job.arch and platform.system() == "Linux"
    if recipe.static_c and not native:
        raise ArtifactError(
            f"{job.subject} links C libraries and can only be built on Linux on {job.arch}",
            hint="use the source `release`, or build on such a machine",
        )
    cgo = "1" if recipe.static_c else "0"
    return go_environment(CGO_ENABLED=cgo, GOOS="linux", GOARCH=job.arch, GOTMPDIR=str(work))


def _linker_flags(recipe: GoBuild, version: str) -> str:
    major, minor, *_ = version.split(".")
    stamps = [
        f"-X {variable}={value.format(version=version, major=major, minor=minor)}"
        for variable, value in recipe.stamp.items()
    ]
    static = ["-linkmode external", "-extldflags -static"] if recipe.static_c else []
    return " ".join(["-s", "-w", *stamps, *static])


def _file_name(package: str) -> str:
    """The file `go build` writes for a command: the last part of its path that is not a major version."""
    *_, before, last = package.split("/")
    return before if _MAJOR_SUFFIX.fullmatch(last) else last


def _build_c(recipe: CBuild, job: Job, work: Path, deadline: float) -> Provided:
    module = fetch_module(recipe.module, recipe.module_version(job.version), work, deadline)
    (name,) = job.names
    target = work / name
    defines = [f"-D{key}={value.format(version=job.version)}" for key, value in recipe.define.items()]
    compiler = "gcc" if _MACHINES.get(platform.machine()) == job.arch else f"{_GNU[job.arch]}-linux-gnu-gcc"
    run_tool(
        [compiler, "-Os", "-static", "-s", *defines, "-o", target, module.folder / recipe.source],
        work,
        go_environment(),
        deadline,
        subject=job.subject,
        hint=_C_HINT,
    )
    return Provided({name: target}, f"built from {module.path} {module.version} with {compiler}")


_GNU = {arch: machine for machine, arch in _MACHINES.items()}


class _Compiling:
    """Turns the compiler's list of packages into progress; it leaves out those that were compiled before."""

    def __init__(self, subject: str, total: int, emit: Sink, clock: Callable[[], float] = time.monotonic) -> None:
        self._subject, self._total, self._emit, self._clock = subject, total, emit, clock
        self._done, self._next = 0, 0.0

    def heard(self, line: str) -> None:
        """One more package, if the line names one."""
        if line.startswith(("go: ", "#")):
            return
        self._done = min(self._done + 1, self._total)
        if (now := self._clock()) >= self._next:
            self._next = now + _PROGRESS_INTERVAL
            self._emit(Progress(self._subject, self._done, self._total, "steps"))

    def finished(self) -> None:
        """All of them."""
        self._emit(Progress(self._subject, self._total, self._total, "steps"))
