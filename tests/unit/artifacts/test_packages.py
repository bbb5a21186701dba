import hashlib
import os
import stat
import sys
import timeit
from pathlib import Path

import pytest

from kbootstrap.artifacts.apt import Apt
from kbootstrap.artifacts.artifact import ArtifactKind
from kbootstrap.artifacts.cache import Cache
from kbootstrap.artifacts.packages import PackageSet, packages
from kbootstrap.errors import ArtifactError
from kbootstrap.events import Event, Note

APT = """\
#!{python}
import os, sys
from pathlib import Path

argv, home = sys.argv[1:], Path({home!r})
options = dict(word.split("=", 1) for before, word in zip(argv, argv[1:]) if before == "-o")
words = [word for before, word in zip([""] + argv, argv) if before != "-o" and word != "-o"]
with (home / "calls").open("a") as calls:
    calls.write(" ".join([Path(sys.argv[0]).name, *words]) + "\\n")
if (home / "broken").exists():
    print("E: Unable to locate package", file=sys.stderr)
    sys.exit(100)
status = Path(options["Dir::State::status"]).read_text()
if words[0] == "show":
    for name in words[2:]:
        print(f"Package: {{name}}\\nVersion: 1.0\\nDepends: x (>= 1.0),\\n y\\nProvides: {{name}}-virtual\\n"
              f"Filename: pool/{{name}}.deb\\n"
              f"SHA256: 0\\nDescription: words\\n more words\\n")
elif words[0] == "install":
    for name in ("libnl", "keepalived", "nginx"):
        if f"Package: {{name}}\\n" not in status:
            print(f"Inst {{name}} (1:2.0-1 Debian:12/stable, Debian-Security:12/stable [amd64]) []")
            print(f"Conf {{name}} (1:2.0-1 Debian:12/stable [amd64])")
elif words[0] == "download":
    for word in words[2:]:
        name = word.split(":")[0]
        Path(f"{{name}}_1%3a2.0-1_amd64.deb").write_text(f"the package {{name}}")
"""


OLD = "1:1.9-3"


class FakeApt:
    def __init__(self, home: Path) -> None:
        self.home = home
        (home / "bin").mkdir(parents=True)
        for name in ("apt-get", "apt-cache"):
            script = home / "bin" / name
            script.write_text(APT.format(python=sys.executable, home=str(home)))
            script.chmod(script.stat().st_mode | stat.S_IXUSR)

    def calls(self) -> list[str]:
        calls = self.home / "calls"
        return calls.read_text().splitlines() if calls.exists() else []


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeApt:
    fake = FakeApt(tmp_path / "apt")
    monkeypatch.setenv("PATH", f"{fake.home / 'bin'}:/usr/bin:/bin")
    return fake


def ask(cache: Cache, installed: set[str], status: str | None = None, events: list[Event] | None = None) -> PackageSet:
    return packages(
        ["keepalived", "nginx"],
        release="bookworm",
        arch="amd64",
        installed=dict.fromkeys(installed, OLD),
        cache=cache,
        emit=(events if events is not None else []).append,
        status=status,
    )


def names(found: PackageSet) -> list[str]:
    return [deb.ref.name for deb in found.debs]


def test_everything_that_is_missing_in_an_order_that_can_be_installed(apt: FakeApt, cache: Cache) -> None:
    found = ask(cache, set())
    assert names(found) == ["libnl", "keepalived", "nginx"]
    for deb in found.debs:
        assert deb.ref.kind is ArtifactKind.PACKAGE
        assert deb.ref.version == "1:2.0-1"
        assert deb.path.read_text() == f"the package {deb.ref.name}"
        assert deb.sha256 == hashlib.sha256(deb.path.read_bytes()).hexdigest()
    assert found.size == sum(deb.size for deb in found.debs)


def test_what_a_host_has_is_left_out(apt: FakeApt, cache: Cache) -> None:
    assert names(ask(cache, {"libnl", "bash"})) == ["keepalived", "nginx"]
    assert "apt-cache show --no-all-versions bash libnl" in apt.calls()


def test_what_a_host_has_counts_in_its_own_version(apt: FakeApt, tmp_path: Path) -> None:
    """And without what its newest version would need: with that, apt would find it broken."""
    status = Apt(tmp_path, "bookworm", "amd64", tmp_path / "status")
    status.status.touch()
    assert status.as_installed({"bash": OLD}) == (
        f"Package: bash\nVersion: {OLD}\nProvides: bash-virtual\nStatus: install ok installed\n\n"
    )
    assert status.as_installed({}) == ""


def test_a_hosts_own_status_is_taken_as_it_is(apt: FakeApt, cache: Cache) -> None:
    assert names(ask(cache, set(), "Package: keepalived\nVersion: 1\n")) == ["libnl", "nginx"]
    assert not any(call.startswith("apt-cache") for call in apt.calls())


def test_the_second_call_asks_nobody(apt: FakeApt, cache: Cache) -> None:
    found = ask(cache, {"bash"})
    calls = apt.calls()
    assert ask(cache, {"bash"}) == found
    assert apt.calls() == calls
    assert min(timeit.repeat(lambda: ask(cache, {"bash"}), number=1, repeat=10)) < 0.02


def test_a_package_that_another_host_needed_is_not_fetched_again(apt: FakeApt, cache: Cache) -> None:
    ask(cache, {"libnl"})
    ask(cache, set())
    downloads = [call for call in apt.calls() if " download " in call]
    assert [call.split()[3:] for call in downloads] == [
        ["keepalived:amd64=1:2.0-1", "nginx:amd64=1:2.0-1"],
        ["libnl:amd64=1:2.0-1"],
    ]


def test_a_lost_file_is_fetched_again(apt: FakeApt, cache: Cache) -> None:
    lost = ask(cache, set()).debs[0]
    lost.path.unlink()
    assert ask(cache, set()).debs[0] == lost
    assert lost.path.exists()


def test_after_a_week_they_are_looked_for_anew_and_kept_if_that_fails(apt: FakeApt, cache: Cache) -> None:
    found = ask(cache, set())
    (answer,) = (cache.root / "packages").iterdir()
    os.utime(answer, (1, 1))
    before = len(apt.calls())
    assert ask(cache, set()) == found
    again = apt.calls()[before:]
    assert any(" install " in call for call in again)
    assert not any(" download " in call for call in again), "the same versions are not fetched again"
    os.utime(answer, (1, 1))
    (apt.home / "broken").touch()
    events: list[Event] = []
    assert ask(cache, set(), events=events) == found
    assert [event.level for event in events if isinstance(event, Note)] == ["warning"]


def test_an_unknown_package_is_a_plain_error(apt: FakeApt, cache: Cache) -> None:
    (apt.home / "broken").touch()
    with pytest.raises(ArtifactError, match="bookworm") as caught:
        ask(cache, set())
    assert "Unable to locate package" in (caught.value.output or "")
    assert caught.value.hint


def test_a_machine_without_apt_says_so(cache: Cache, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ArtifactError, match="no apt-get"):
        ask(cache, set())
