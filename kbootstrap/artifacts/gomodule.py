"""Go modules: fetching one, and a module of our own that builds its commands.

`go install module/command@version` fails for modules with `replace` lines, such as Kubernetes'.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kbootstrap.artifacts.process import run_tool
from kbootstrap.artifacts.toolchain import find_go

_LOOK_UP_GO = "1.21.0"
"""Enough to read modules: the first that understands toolchain lines in go.mod."""
_UNPUBLISHED = "v0.0.0"
"""What Kubernetes requires of its staging modules; they are published as v0.MINOR.PATCH."""


@dataclass(frozen=True, slots=True)
class GoCommand:
    """A `go` that is run in one folder with one environment; `deadline` (seconds) is for each run."""

    go: Path
    folder: Path
    environment: Mapping[str, str]
    deadline: float
    subject: str
    hint: str | None = None

    def run(self, *argv: str, heard: Callable[[str], None] = lambda _line: None) -> str:
        """Standard output of `go ARGV`; `heard` gets each line of standard error. Raises ArtifactError."""
        return run_tool(
            [self.go, *argv],
            self.folder,
            self.environment,
            self.deadline,
            subject=self.subject,
            heard=heard,
            hint=self.hint,
        )


@dataclass(frozen=True, slots=True)
class Replacement:
    """A replace line of a go.mod; without a version, `stand_in` is a folder of the module's own."""

    path: str
    stand_in: str
    version: str | None


@dataclass(frozen=True, slots=True)
class GoModule:
    """A module in Go's own cache, and what its go.mod says; versions with their leading `v`."""

    path: str
    version: str
    folder: Path
    go: str
    requires: Mapping[str, str]
    replaces: tuple[Replacement, ...]


def go_environment(**more: str) -> dict[str, str]:
    """The user's own settings, caches and proxy included, without what would change how a module resolves."""
    own = {name: value for name, value in os.environ.items() if name != "GOROOT"}
    return {**own, "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "GOWORK": "off", **more}


def fetch_module(module: str, version: str, work: Path, deadline: float) -> GoModule:
    """Has Go fetch a module (`version` without its `v`) into Go's cache, and reads its go.mod."""
    (work / "go.mod").write_text("module kbootstrap.build/fetch\n")
    go = GoCommand(
        find_go(_LOOK_UP_GO).path,
        work,
        go_environment(),
        deadline,
        subject=f"{module} v{version}",
        hint="the module could not be had: see `go env GOPROXY GOSUMDB`, and try another version or source",
    )
    place = json.loads(go.run("mod", "download", "-json", f"{module}@v{version}"))
    said = json.loads(go.run("mod", "edit", "-json", place["GoMod"]))
    return GoModule(
        path=module,
        version=f"v{version}",
        folder=Path(place["Dir"]),
        go=said["Go"],
        requires={line["Path"]: line["Version"] for line in said.get("Require") or ()},
        replaces=tuple(_replacement(line) for line in said.get("Replace") or ()),
    )


def wrapper_go_mod(module: GoModule, also: tuple[str, ...] = ()) -> str:
    """The go.mod of a module that requires `module`, and resolves what that requires in the same way.

    Go heeds the replace lines of the main module alone, so they are repeated here; where the module names a
    folder of its own, the published module of that path takes its place.
    """
    lines = ["module kbootstrap.build/wrapper", f"go {module.go}"]
    lines += [f"require {path} {module.version}" for path in (module.path, *also)]
    for line in module.replaces:
        if line.version is not None:
            lines.append(f"replace {line.path} => {line.stand_in} {line.version}")
        elif module.requires.get(line.path) == _UNPUBLISHED:
            lines.append(f"replace {line.path} => {line.path} v0.{module.version.split('.', 1)[1]}")
    return "\n".join(lines) + "\n"


def copy_without(module: GoModule, dropped: tuple[str, ...], target: Path) -> None:
    """Copies a module's source without some of its folders and without the imports of them."""
    shutil.copytree(module.folder, target, copy_function=shutil.copyfile)
    for path in (target, *target.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
    for folder in dropped:
        shutil.rmtree(target / folder)
    imports = re.compile(
        "|".join(rf'^\s*(import\s+)?(\w+\s+)?"{re.escape(f"{module.path}/{folder}")}"\s*?\n' for folder in dropped),
        re.MULTILINE,
    )
    for source in target.rglob("*.go"):
        text = source.read_text(encoding="utf-8")
        if (changed := imports.sub("", text)) != text:
            source.write_text(changed, encoding="utf-8")


def _replacement(line: Mapping[str, Mapping[str, str]]) -> Replacement:
    return Replacement(line["Old"]["Path"], line["New"]["Path"], line["New"].get("Version"))
