"""A stand-in for Go: knows one module, and "builds" files that say how they were built."""

import json
import stat
import sys
from pathlib import Path

_SCRIPT = """\
#!{python}
import json, os, sys, time
from pathlib import Path

argv, home = sys.argv[1:], Path({home!r})
with (home / "calls").open("a") as calls:
    calls.write(" ".join(argv) + "\\n")
settings = json.loads((home / "settings").read_text())
if argv[0] == "version":
    print("go version go" + settings["version"] + " linux/amd64")
elif argv[:2] == ["mod", "download"]:
    print(json.dumps({{"GoMod": str(home / "go.mod.json"), "Dir": str(home / "module")}}))
elif argv[:2] == ["mod", "edit"]:
    print((home / "go.mod.json").read_text())
elif argv[0] == "list":
    print("\\n".join(str(number) for number in range(10)))
elif argv[0] == "build":
    (home / "pid").write_text(str(os.getpid()))
    output = Path(argv[argv.index("-o") + 1])
    packages = argv[argv.index("-o") + 2 :]
    for package in packages:
        print(package, file=sys.stderr, flush=True)
        name = [part for part in package.split("/") if not part[1:].isdigit()][-1]
        (output / name).write_text("half")
        time.sleep(settings["seconds"])
        if settings["fails"]:
            print(settings["fails"], file=sys.stderr)
            sys.exit(1)
        told = {{"argv": argv, "go.mod": Path("go.mod").read_text(), "environment": dict(os.environ)}}
        (output / name).write_text(json.dumps({{"name": name, **told}}))
"""


class FakeGo:
    """A folder with a `go` in it, for PATH."""

    def __init__(self, home: Path) -> None:
        self.home = home
        (home / "bin").mkdir(parents=True)
        (home / "module").mkdir()
        script = home / "bin" / "go"
        script.write_text(_SCRIPT.format(python=sys.executable, home=str(home)))
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        self.settle()

    def settle(self, *, version: str = "1.26.8", seconds: float = 0.0, fails: str = "", needs: str = "1.26.0") -> None:
        """How it behaves from now on."""
        (self.home / "settings").write_text(json.dumps({"version": version, "seconds": seconds, "fails": fails}))
        go_mod = {
            "Go": needs,
            "Require": [
                {"Path": "k8s.io/api", "Version": "v0.0.0"},
                {"Path": "example.org/fork", "Version": "v1.0.0"},
                {"Path": "example.org/sibling", "Version": "v1.2.3"},
            ],
            "Replace": [
                {"Old": {"Path": "k8s.io/api"}, "New": {"Path": "./staging/src/k8s.io/api"}},
                {"Old": {"Path": "example.org/fork"}, "New": {"Path": "example.org/other", "Version": "v1.0.1"}},
                {"Old": {"Path": "example.org/sibling"}, "New": {"Path": "../sibling"}},
            ],
        }
        (self.home / "go.mod.json").write_text(json.dumps(go_mod))

    def pid(self) -> int:
        """The process that builds."""
        return int((self.home / "pid").read_text())

    def calls(self, verb: str) -> list[str]:
        """What it was asked to do."""
        calls = self.home / "calls"
        return [line for line in calls.read_text().splitlines() if line.startswith(verb)] if calls.exists() else []
