"""Asking the API with curl, for real: what is refused for a moment is asked again by who has the time."""

import subprocess
from itertools import count
from pathlib import Path, PurePosixPath

from kbootstrap.facts.api import answers, ask
from tests.unit.probes.server import Asked, Reaction, answer, serving

KUBECONFIG = """\
clusters:
- cluster:
    server: "http://127.0.0.1:{port}"
users:
- user:
    client-certificate-data: ""
    client-key-data: ""
"""
REFUSED = Reaction(answer("504 Gateway Timeout", b'{"kind":"Status"}\n'))
NODES = Reaction(answer(body=b'{"kind":"NodeList","items":[]}\n'))


def kinds(folder: Path, *, refusals: int, patient: bool) -> list[str]:
    """Of the answers that count, when the apiserver says no so many times first."""
    asked = count()

    def react(_: Asked) -> Reaction:
        return REFUSED if next(asked) < refusals else NODES

    with serving(folder, react, plain=True) as server:
        config = folder / "admin.conf"
        config.write_text(KUBECONFIG.format(port=server.target.port))
        script = ask(["/api/v1/nodes"], kubeconfig=PurePosixPath(config), patient=patient)
        done = subprocess.run(["bash"], input=script.encode(), check=False, capture_output=True)
    return [found["kind"] for found in answers(done.stdout)]


def test_a_moments_refusal_is_asked_again(tmp_path: Path) -> None:
    assert kinds(tmp_path, refusals=1, patient=True) == ["NodeList"]


def test_who_waits_in_a_loop_of_its_own_does_not_wait_here(tmp_path: Path) -> None:
    assert kinds(tmp_path, refusals=1, patient=False) == []


def test_nobody_there_is_no_answer(tmp_path: Path) -> None:
    assert kinds(tmp_path, refusals=9, patient=True) == []
