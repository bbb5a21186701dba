"""What lands on hosts, as the programs see it that will read it."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import pytest

from kbootstrap.components import edge, endpoint, etcd, flannel, keepalived, nginx
from kbootstrap.components.service import UNITS
from kbootstrap.pki.issue import issue
from kbootstrap.pki.spec import CertificateSpec
from kbootstrap.steps.file import File
from tests.golden.bare import bare
from tests.golden.sites import NOW, SHOWN, TOPOLOGIES, pki, steps

HOSTS = [(topology, name) for topology, names in SHOWN.items() for name in names]
SHEBANG = re.compile(rb"^#!/bin/(ba)?sh\n")


def needs(program: str) -> pytest.MarkDecorator:
    """CI has them all (see the Makefile); a developer's machine need not."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    missing = shutil.which(program, path=path) is None
    return pytest.mark.skipif(missing and "CI" not in os.environ, reason=f"{program} is not installed")


def run(*command: str) -> str:
    """What a program says; it must end with 0. In a session of its own: keepalived signals its whole group."""
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=environment, start_new_session=True
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def files(topology: str, name: str) -> list[File]:
    """All files that components write to a host."""
    return [step for _, wanted in steps(TOPOLOGIES[topology], name) for step in wanted if isinstance(step, File)]


def all_files() -> dict[bytes, File]:
    """Every file of every topology, equal ones once."""
    return {file.content: file for topology, name in HOSTS for file in files(topology, name)}


@needs("systemd-analyze")
@pytest.mark.parametrize(("topology", "name"), HOSTS)
def test_systemd_accepts_the_units(topology: str, name: str, tmp_path: Path) -> None:
    units = [file for file in files(topology, name) if file.path.parent == UNITS]
    assert units
    for unit in units:
        place(tmp_path, unit.path, unit.content)
        for program in re.findall(r"^Exec\w+=\+?(/\S+)", unit.content.decode(), re.MULTILINE):
            place(tmp_path, PurePosixPath(program), b"#!/bin/sh\n", 0o755)
    for target in (
        "network-online",
        "multi-user",
        "sysinit",
        "basic",
        "shutdown",
        "sockets",
        "timers",
        "paths",
        "slices",
    ):
        place(tmp_path, UNITS / f"{target}.target", b"[Unit]\nDescription=there\n")
    said = run("systemd-analyze", "verify", "--man=no", f"--root={tmp_path}", *(unit.path.name for unit in units))
    assert said == ""


def place(root: Path, path: PurePosixPath, content: bytes, mode: int = 0o644) -> None:
    """A file below `root`."""
    file = root / path.relative_to("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    file.chmod(mode)


@needs("systemd-analyze")
def test_systemd_would_refuse_a_wrong_unit(tmp_path: Path) -> None:
    place(tmp_path, UNITS / "wrong.service", b"[Service]\nExecStart=relative\nRestart=sometimes\n")
    with pytest.raises(AssertionError, match=r"wrong\.service"):
        run("systemd-analyze", "verify", "--man=no", f"--root={tmp_path}", "wrong.service")


@needs("nginx")
@pytest.mark.parametrize(("topology", "name"), HOSTS)
def test_nginx_accepts_its_configuration(topology: str, name: str, tmp_path: Path) -> None:
    found = {file.path: file for file in files(topology, name)}
    if nginx.CONFIG in found:
        run("nginx", "-t", "-c", str(local(found[nginx.CONFIG], found[endpoint.SERVERS], tmp_path)))


@needs("nginx")
@pytest.mark.parametrize("name", SHOWN["applications"])
def test_nginx_accepts_the_applications(name: str, tmp_path: Path) -> None:
    config = next(file for file in files("applications", name) if file.path == edge.CONFIG)
    said = run("nginx", "-t", "-c", str(local_edge(config, tmp_path)))
    assert "warn" not in said


@needs("nginx")
def test_nginx_would_refuse_an_application_without_upstream(tmp_path: Path) -> None:
    config = next(file for file in files("applications", "lb1") if file.path == edge.CONFIG)
    wrong = File(config.path, config.content.replace(b"proxy_pass app_queue", b"proxy_pass app_nobody"))
    with pytest.raises(AssertionError, match="app_nobody"):
        run("nginx", "-t", "-c", str(local_edge(wrong, tmp_path)))


def local_edge(config: File, folder: Path) -> Path:
    """A configuration of applications that can be tested here, with a certificate for all of them."""
    certificate, key = issue(pki().kubernetes, CertificateSpec("edge", names=("edge",), server=True), NOW, 30)
    (folder / "edge.crt").write_bytes(certificate)
    (folder / "edge.key").write_bytes(key)
    text = config.content.decode().replace(str(edge.RUNTIME), str(folder)).replace(str(edge.LOGS), str(folder))
    text = re.sub(rf"{edge.FOLDER}/\S+\.(crt|key)", rf"{folder}/edge.\1", text)
    text = re.sub(r"listen (198\.18|127\.0)\.0\.(\d+):(\d+)", r"listen 127.18.0.\2:2\3", text)
    text = re.sub(r"\n\nhttp \{", f"\n\nhttp {{\n{temporary_folders(folder)}", text)
    file = folder / config.path.name
    file.write_text(re.sub(r"^(user|worker_rlimit_nofile) .*\n", "", text, flags=re.MULTILINE))
    return file


def temporary_folders(folder: Path) -> str:
    """For an nginx of somebody who may not write in /var."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return "".join(f"  {kind}_temp_path {folder}/{kind};\n" for kind in kinds)


def local(config: File, servers: File, folder: Path) -> Path:
    """A configuration that can be tested here: addresses that every machine has, and ports that are free."""
    (folder / "servers").write_bytes(servers.content.replace(b"198.18.0.", b"127.18.0."))
    text = config.content.decode().replace(str(nginx.RUNTIME), str(folder))
    text = text.replace(str(endpoint.LIST), str(folder / "servers"))
    text = (
        re.sub(r"198\.18\.0\.(\d+):644([35])", r"127.18.0.\1:3644\2", text)
        .replace(":6443", ":36443")
        .replace(":6444", ":36444")
    )
    file = folder / config.path.name
    file.write_text(re.sub(r"^(user|worker_rlimit_nofile) .*\n", "", text, flags=re.MULTILINE))
    return file


@needs("nginx")
def test_nginx_would_refuse_a_wrong_configuration(tmp_path: Path) -> None:
    found = {file.path: file for file in files("vip", "cp1")}
    config, servers = found[nginx.CONFIG], found[endpoint.SERVERS]
    wrong = File(config.path, config.content.replace(b"proxy_pass apiservers", b"proxy_pass nobody"))
    with pytest.raises(AssertionError, match="nobody"):
        run("nginx", "-t", "-c", str(local(wrong, servers, tmp_path)))


@needs("keepalived")
@pytest.mark.parametrize(("topology", "name"), HOSTS)
def test_keepalived_accepts_its_configuration(topology: str, name: str, tmp_path: Path) -> None:
    found = {file.path: file for file in files(topology, name)}
    if keepalived.CONFIG in found:
        file = tmp_path / "keepalived.conf"
        file.write_text(keepalived_text(found[keepalived.CONFIG]))
        assert run("keepalived", "--config-test", f"--use-file={file}") == ""


def keepalived_text(config: File) -> str:
    """On an interface of this machine (not the loopback: keepalived refuses it), with scripts that are there.

    As root: keepalived 2.2 ends itself in its configuration test when it looks at scripts of another user.
    """
    interface = next((name for _, name in socket.if_nameindex() if name != "lo"), None)
    if interface is None:
        pytest.skip("this machine has no network interface")
    text = re.sub(r"interface \w+", f"interface {interface}", config.content.decode())
    text = re.sub(r"lvs_sync_daemon \w+", f"lvs_sync_daemon {interface}", text)
    text = text.replace("script_user nobody nogroup", "script_user root")
    return re.sub(r'script "/opt[^"]*"', 'script "/bin/true"', text)


@needs("keepalived")
def test_keepalived_would_refuse_a_wrong_configuration(tmp_path: Path) -> None:
    config = next(file for file in files("vip", "cp1") if file.path == keepalived.CONFIG)
    file = tmp_path / "keepalived.conf"
    file.write_text(keepalived_text(config).replace("virtual_router_id 100", "virtual_router_id 300"))
    with pytest.raises(AssertionError, match="300"):
        run("keepalived", "--config-test", f"--use-file={file}")


@needs("nft")
def test_nft_accepts_the_rules(tmp_path: Path) -> None:
    rules = next(file for file in files("lvs-nat", "lb1") if file.path == keepalived.MASQUERADE)
    (tmp_path / "rules").write_bytes(rules.content)
    run("nft", "--check", "--file", str(tmp_path / "rules"))


@needs("shellcheck")
def test_shellcheck_accepts_the_scripts(tmp_path: Path) -> None:
    scripts = [file for content, file in all_files().items() if SHEBANG.match(content)]
    assert {etcd.GUARD, flannel.CNI_SCRIPT, keepalived.ALIVE_SCRIPT, keepalived.USEFUL_SCRIPT, endpoint.PROGRAM} <= {
        script.path for script in scripts
    }
    for number, script in enumerate(scripts):
        file = tmp_path / f"{number}-{script.path.name}"
        file.write_bytes(script.content)
        run("shellcheck", "--exclude=SC1091,SC2154", str(file))  # what the subnet file defines is not to be seen


@needs("shellcheck")
def test_shellcheck_accepts_what_steps_run(tmp_path: Path) -> None:
    scripts = {script for topology, name in HOSTS for script in change_scripts(topology, name)}
    assert len(scripts) > 100
    # Each change runs in a subshell of its own (engine/script.py). One long file would take shellcheck minutes.
    files = []
    for number, some in enumerate(batched(sorted(scripts), 20)):
        files.append(tmp_path / f"{number}.sh")
        body = "".join(f"(\n{script}\n)\n" for script in some)
        files[-1].write_text(f"#!/bin/sh\nfetch() {{ :; }}\nfetch a b\n{body}")
    run("shellcheck", "--severity=warning", *map(str, files))


def batched(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """So many at a time."""
    return (items[start : start + size] for start in range(0, len(items), size))


def change_scripts(topology: str, name: str) -> Iterator[str]:
    """The scripts of all changes on a host that has nothing yet."""
    for _, wanted in steps(TOPOLOGIES[topology], name):
        seen = bare(wanted)
        for step in wanted:
            change = step.diff(seen, frozenset())
            if change is not None:
                yield change.script
