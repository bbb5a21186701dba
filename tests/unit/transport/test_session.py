"""Commands, input, output and files, against a real OpenSSH server."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kbootstrap.errors import CommandFailed, Unreachable
from kbootstrap.transport import capture, process, shell
from kbootstrap.transport.connection import Connection
from kbootstrap.transport.ssh import connect
from tests.unit.transport.conftest import QUICK, Server

EVERY_BYTE = bytes(range(256)) * 40


def wait_until(true: Callable[[], bool], seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.02)
    return False


def runs(marker: str) -> bool:
    """Whether a process with this in its command line exists."""
    return subprocess.run(["pgrep", "-f", marker], capture_output=True, check=False).returncode == 0


def test_runs_a_command_and_returns_its_output_and_exit_code(connection: Connection) -> None:
    result = connection.run("echo out; echo err >&2; exit 3")
    assert (result.stdout, result.stderr, result.exit_code) == (b"out\n", b"err\n", 3)
    assert (result.host, result.command, result.truncated) == ("cp1", "echo out; echo err >&2; exit 3", False)


@pytest.mark.parametrize("command", ["printf %s \"a'b\\\\\" '$x'", "printf '%s\n' 'a\nb'", "true; exit 7", "if"])
def test_command_lines_mean_what_they_mean_in_a_shell(connection: Connection, command: str) -> None:
    local = subprocess.run(["sh", "-c", command], capture_output=True, check=False)
    remote = connection.run(command)
    assert (remote.stdout, remote.exit_code) == (local.stdout, local.returncode)


def test_the_environment_is_a_sane_one(make_server: Callable[..., Server]) -> None:
    server = make_server(SetEnv="PATH=/nowhere LC_ALL=de_DE.UTF-8 SHLVL=1")
    connection = connect(server.host(), timeouts=QUICK)
    assert connection.run("echo $PATH $LC_ALL; umask").text.split() == [
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "C",
        "0022",
    ]
    connection.close()


def test_without_input_a_command_reads_nothing(connection: Connection) -> None:
    assert connection.run("cat; echo done").stdout == b"done\n"


def test_a_command_that_a_signal_ends_has_failed(connection: Connection) -> None:
    assert connection.run("kill -KILL $$").exit_code != 0
    assert connection.run("sh -c 'kill -KILL $$'").exit_code == 128 + signal.SIGKILL


@pytest.mark.parametrize("size", [0, 1, 65_537, 8_000_000])
def test_input_and_output_of_any_bytes_and_size(connection: Connection, size: int) -> None:
    content = (EVERY_BYTE * (size // len(EVERY_BYTE) + 1))[:size]
    result = connection.run("tee /dev/stderr", stdin=content)
    assert result.stdout == content
    assert result.stderr == content


def test_a_script_keeps_itself_to_itself(connection: Connection) -> None:
    script = "cat\nsecret='in the script'\necho $# $0\ncat /proc/[0-9]*/cmdline | tr '\\0' ' '\nexit 4"
    result = connection.run_script(script)
    assert result.exit_code == 4
    assert result.stdout.startswith(b"0 sh\n")
    assert b"in the script" not in result.stdout
    assert "secret" not in result.command


def test_a_script_may_be_long_and_have_heredocs(connection: Connection) -> None:
    script = "cat <<'X'\n" + "ä$`\\'\"\n" * 100_000 + "X\n"
    assert connection.run_script(script).stdout == ("ä$`\\'\"\n" * 100_000).encode()


def test_lines_are_seen_as_they_arrive(connection: Connection) -> None:
    seen: list[tuple[str, float]] = []
    connection.run_script(
        "echo one; sleep 0.3; printf 'two\\r\\nthree'", on_line=lambda line: seen.append((line, time.monotonic()))
    )
    assert [line for line, _ in seen] == ["one", "two", "three"]
    assert seen[1][1] - seen[0][1] > 0.2


def test_output_beyond_the_bound_keeps_both_ends(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(process, "Capture", lambda: capture.Capture(limit=20_000))
    result = connection.run("seq 1 1000000")
    assert result.truncated
    assert result.stdout.startswith(b"1\n2\n")
    assert result.stdout.endswith(b"999999\n1000000\n")
    assert len(result.stdout) < 21_000
    big = tmp_path / "big"
    big.write_bytes(bytes(30_000))
    with pytest.raises(CommandFailed, match="too big"):
        connection.get(str(big))


def test_past_its_time_a_command_ends_with_all_its_children(connection: Connection) -> None:
    marker = f"sleep 100.{os.getpid()}"
    with pytest.raises(CommandFailed, match=r"did not end within 0\.5 s") as caught:
        connection.run_script(f"echo begun; {marker} & {marker} | cat; true", timeout=0.5)
    assert caught.value.output == "begun"
    assert not runs(marker)


def test_a_command_that_ignores_being_asked_is_killed(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "_COMMAND", shell._COMMAND.replace("sleep 5;", "sleep 0.3;"))
    marker = f"sleep 101.{os.getpid()}"
    with pytest.raises(CommandFailed):
        connection.run(f"trap '' TERM; {marker}; {marker}; true", timeout=0.2)
    assert not runs(marker)


def test_endless_output_ends_too(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "Capture", lambda: capture.Capture(limit=20_000))
    with pytest.raises(CommandFailed, match="did not end"):
        connection.run("yes", timeout=0.5)


def test_a_process_left_in_the_background_is_left_alone(connection: Connection) -> None:
    marker = f"sleep 102.{os.getpid()}"
    begun = time.monotonic()
    assert connection.run(f"{marker} >/dev/null 2>&1 & echo $!").ok
    assert time.monotonic() - begun < 1
    assert runs(marker)
    connection.run(f"pkill -f '{marker}'")


def test_output_held_open_in_the_background_is_not_waited_for(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "LINGER_SECONDS", 0.3)
    result = connection.run("sleep 30 & echo $!")
    assert result.exit_code == 0
    connection.run(f"kill {result.text}").require()


@pytest.mark.parametrize("how", ["script", "command", "hold"])
def test_when_the_tool_is_killed_its_command_ends(server: Server, tmp_path: Path, how: str) -> None:
    """Nothing runs on, unwatched, while the next run of the tool begins."""
    marker = f"103.{os.getpid()}.{how}"
    tool = tmp_path / "tool.py"
    statement = {
        "script": f"c.run_script('sh -c \"sleep 1000; true\" {marker}')",
        "command": f"c.run('sh -c \"sleep 1000; true\" {marker}', stdin=b'x')",
        "hold": f"h = c.hold('echo; sh -c \"cat >/dev/null; true\" {marker}'); h.__enter__(); c.run('sleep 1000')",
    }[how]
    tool.write_text(
        textwrap.dedent(f"""
        import pathlib
        from ipaddress import IPv4Address
        from kbootstrap.model.cluster import Host, Ssh
        from kbootstrap.transport.ssh import connect
        ssh = Ssh(user={server.host().ssh.user!r}, port={server.port},
                  identity_file=pathlib.Path({str(server.user_key)!r}),
                  known_hosts=pathlib.Path({str(server.known_hosts)!r}))
        c = connect(Host('cp1', IPv4Address('127.0.0.1'), frozenset(), ssh=ssh))
        {statement}
        """)
    )
    killed = subprocess.Popen([sys.executable, tool])
    try:
        assert wait_until(lambda: runs(f"^sh -c .*{marker}"), 30)
    finally:
        killed.kill()
        killed.wait()
    assert wait_until(lambda: not runs(f"^sh -c .*{marker}"))


def test_two_threads_may_use_it_and_more_than_sshd_lets_in_at_once(make_server: Callable[..., Server]) -> None:
    server = make_server(MaxSessions="3")
    connection = connect(server.host(), timeouts=QUICK)
    with ThreadPoolExecutor(20) as pool:
        results = list(pool.map(lambda n: connection.run("sleep 0.05; cat", stdin=b"%d" % n).text, range(20)))
    assert results == [str(n) for n in range(20)]
    connection.close()


def test_holds_a_command_until_the_context_ends(connection: Connection, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    hold = f"exec 9>{lock}; flock -n 9 && echo held && cat >/dev/null || echo busy"
    with connection.hold(hold) as answer:
        assert answer == "held"
        with connection.hold(hold) as second:
            assert second == "busy"
    with connection.hold(hold) as answer:
        assert answer == "held"


def test_what_happens_inside_a_hold_stays_as_it_is(connection: Connection) -> None:
    with pytest.raises(FileNotFoundError), connection.hold("echo; cat"):
        raise FileNotFoundError("mine")
    with pytest.raises(TimeoutError, match="mine"), connection.hold("echo; cat"):
        raise TimeoutError("mine")


def test_a_hold_waits_for_its_first_line_in_bounds(connection: Connection) -> None:
    with pytest.raises(CommandFailed, match="printed nothing"):
        connection.hold("cat", timeout=0.2).__enter__()
    with connection.hold("true") as answer:
        assert answer == ""


@pytest.mark.parametrize("content", [b"", b"secret\n", EVERY_BYTE * 300])
def test_puts_and_gets_files(connection: Connection, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a name with $(quotes)'"
    file.write_text("old")
    connection.put(content, str(file), mode=0o640)
    assert (file.read_bytes(), file.stat().st_mode & 0o7777) == (content, 0o640)
    assert connection.get(str(file)) == content
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [file.name]


def test_puts_a_large_file(connection: Connection, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(EVERY_BYTE * 3000)
    connection.put_file(str(source), str(target), mode=0o755)
    assert (target.read_bytes(), target.stat().st_mode & 0o7777) == (source.read_bytes(), 0o755)


def test_a_file_that_cannot_be_written_is_an_error_and_leaves_nothing(connection: Connection, tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    for path in (tmp_path / "none" / "file", tmp_path / "directory", Path("/proc/file"), Path("/dev/full/x")):
        with pytest.raises(CommandFailed, match=str(path)) as caught:
            connection.put(b"x", str(path))
        assert caught.value.output
    assert list((tmp_path / "directory").iterdir()) == []
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    with pytest.raises(CommandFailed, match="cannot be read"):
        connection.put_file(str(tmp_path / "none"), str(tmp_path / "file"))
    with pytest.raises(CommandFailed, match="cannot be read"):
        connection.get(str(tmp_path / "none"))


@pytest.mark.skipif(os.geteuid() != 0, reason="a full disk needs root to be made")
def test_a_full_disk_keeps_the_old_file(connection: Connection, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], check=True)
    try:
        (disk / "file").write_text("old")
        with pytest.raises(CommandFailed) as caught:
            connection.put(EVERY_BYTE * 1000, str(disk / "file"))
        assert "No space left" in (caught.value.output or "")
        assert [(path.name, path.read_text()) for path in disk.iterdir()] == [("file", "old")]
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_source_that_shrinks_on_the_way_is_not_installed(connection: Connection, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"x" * 1000)
    target.write_text("old")
    shrinking = Path(source).open("rb")  # noqa: SIM115 - held open while its path changes
    with shrinking, pytest.raises(CommandFailed):
        connection._write(str(target), iter([shrinking.read(900)]), 1000, 0o600, 2.0)  # type: ignore[attr-defined]
    assert target.read_text() == "old"


def test_a_lost_connection_is_said_and_can_be_opened_again(server: Server) -> None:
    connection = connect(server.host(), timeouts=QUICK)
    with pytest.raises(Unreachable, match="connection was lost") as caught:
        connection.run_script("kill -KILL $PPID; sleep 30")
    assert caught.value.host == "cp1"
    with pytest.raises(Unreachable, match="lost"):
        connection.run("true")
    connection.reconnect(timeout=5)
    assert connection.run("echo again").text == "again"
    connection.close()


def test_reconnects_to_a_host_that_takes_its_time(server: Server) -> None:
    connection = connect(server.host(), timeouts=QUICK)
    server.stop()
    with ThreadPoolExecutor(1) as pool:
        begun = time.monotonic()
        reconnecting = pool.submit(connection.reconnect, timeout=10)
        time.sleep(1)
        server.start()
        reconnecting.result()
        assert time.monotonic() - begun < 5
    assert connection.run("true").ok
    connection.close()
    server.stop()
    with pytest.raises(Unreachable, match="refuses"):
        connection.reconnect(timeout=1)


def test_commands_leave_no_files_or_threads_open(connection: Connection) -> None:
    def left() -> tuple[int, int]:
        return sum(1 for _ in Path("/proc/self/fd").iterdir()), threading.active_count()

    connection.run("true")
    before = left()
    for _ in range(10):
        connection.run("cat", stdin=b"x")
    assert left() == before


def test_closing_while_sending_costs_a_command_and_not_the_connection(connection: Connection) -> None:
    """A command may end before it has read its input; nothing must be sent on its channel any more."""
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: connection.run("exec <&-; exit 5", stdin=bytes(300_000)), range(40)))
        writes = [pool.submit(connection.put, bytes(300_000), "/proc/none/file") for _ in range(40)]
        assert {type(write.exception()) for write in writes} == {CommandFailed}
    assert {result.exit_code for result in results} == {5}
    assert connection.run("true").ok


def test_a_closed_connection_refuses_and_closes_again(server: Server) -> None:
    connection = connect(server.host(), timeouts=QUICK)
    connection.close()
    connection.close()
    with pytest.raises(Unreachable, match="closed"):
        connection.run("true")
