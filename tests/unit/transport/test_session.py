"""Commands, input and output, against a real OpenSSH server."""

from kbootstrap.transport.connection import Connection


def test_runs_a_command_and_returns_its_output_and_exit_code(connection: Connection) -> None:
    result = connection.run("echo out; echo err >&2; exit 3")
    assert (result.stdout, result.stderr, result.exit_code) == (b"out\n", b"err\n", 3)


def test_holds_a_command_open(connection: Connection) -> None:
    with connection.hold("echo held; cat >/dev/null") as answer:
        assert answer == "held"
