import hashlib
import http.client
import os
import timeit
from pathlib import Path

import pytest

from kbootstrap.artifacts.artifact import Artifact, ArtifactRef
from kbootstrap.artifacts.depot import Depot
from kbootstrap.errors import ArtifactError


def artifact(folder: Path, content: bytes) -> Artifact:
    sha256 = hashlib.sha256(content).hexdigest()
    path = folder / sha256
    path.write_bytes(content)
    return Artifact(ArtifactRef("kubelet", "1.36.4"), sha256, len(content), path)


def ask(port: int, path: str, method: str = "GET") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request(method, path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def test_an_allowed_file_is_served_whole(tmp_path: Path) -> None:
    served = artifact(tmp_path, os.urandom(3_000_000))
    with Depot([served], bind="127.0.0.1") as depot:
        status, body = ask(depot.port, f"/sha256/{served.sha256}")
        assert status == 200
        assert hashlib.sha256(body).hexdigest() == served.sha256
        assert ask(depot.port, f"/sha256/{served.sha256}", "HEAD") == (200, b"")


def test_nothing_else_is_served(tmp_path: Path) -> None:
    served, hidden = artifact(tmp_path, b"served"), artifact(tmp_path, b"hidden")
    with Depot([served], bind="127.0.0.1") as depot:
        for path in (
            "/",
            "/sha256",
            "/sha256/",
            f"/sha256/{hidden.sha256}",
            f"/sha256/{served.sha256}/",
            f"/sha256/../sha256/{served.sha256}",
            f"/sha256/{served.sha256}?a",
            f"/{served.sha256}",
            "/sha256/../../etc/passwd",
            "/etc/passwd",
        ):
            assert ask(depot.port, path)[0] == 404, path
        assert ask(depot.port, f"/sha256/{served.sha256}", "PUT")[0] == 501


def test_one_connection_can_ask_again_and_an_empty_file_is_fine(tmp_path: Path) -> None:
    files = [artifact(tmp_path, b"one"), artifact(tmp_path, b"")]
    with Depot(files, bind="127.0.0.1") as depot:
        connection = http.client.HTTPConnection("127.0.0.1", depot.port, timeout=5)
        for file, content in zip(files, (b"one", b""), strict=True):
            connection.request("GET", f"/sha256/{file.sha256}")
            assert connection.getresponse().read() == content
        connection.close()


def test_a_damaged_file_is_removed_when_a_host_comes_back_for_it(tmp_path: Path) -> None:
    served = artifact(tmp_path, b"content")
    served.path.write_bytes(b"c0ntent")
    path = f"/sha256/{served.sha256}"
    with Depot([served], bind="127.0.0.1") as depot:
        assert ask(depot.port, path) == (200, b"c0ntent")
        assert ask(depot.port, path)[0] == 404
        assert not served.path.exists()


def test_a_good_file_can_be_taken_again(tmp_path: Path) -> None:
    served = artifact(tmp_path, b"content")
    with Depot([served], bind="127.0.0.1") as depot:
        for _ in range(3):
            assert ask(depot.port, f"/sha256/{served.sha256}") == (200, b"content")


def test_it_closes_at_once_and_then_does_not_answer(tmp_path: Path) -> None:
    def opened_and_closed() -> None:
        with Depot([artifact(tmp_path, b"content")], bind="127.0.0.1") as depot:
            port = depot.port
        with pytest.raises(ConnectionRefusedError):
            ask(port, "/")

    assert min(timeit.repeat(opened_and_closed, number=1, repeat=5)) < 0.2


def test_a_taken_port_is_a_plain_error() -> None:
    with (
        Depot([], bind="127.0.0.1") as depot,
        pytest.raises(ArtifactError, match=r"cannot listen on 127\.0\.0\.1"),
        Depot([], bind="127.0.0.1", port=depot.port),
    ):
        pass
