"""Asking the API with curl, for real: what is refused for a moment is asked again by who has the time."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path, PurePosixPath

from kbootstrap.facts.api import answers, ask

KUBECONFIG = """\
clusters:
- cluster:
    server: "http://127.0.0.1:{port}"
users:
- user:
    client-certificate-data: "{none}"
    client-key-data: "{none}"
"""


@contextmanager
def refusing(times: int) -> Iterator[int]:
    """An apiserver that says no so many times; its port."""
    left = [times]

    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            left[0] -= 1
            refused = left[0] >= 0
            self.send_response(504 if refused else 200)
            body = b'{"kind":"Status"}\n' if refused else b'{"kind":"NodeList","items":[]}\n'
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def kinds(folder: Path, port: int, *, patient: bool) -> list[str]:
    """Of the answers that count."""
    config = folder / "admin.conf"
    config.write_text(KUBECONFIG.format(port=port, none=""))
    script = ask(["/api/v1/nodes"], kubeconfig=PurePosixPath(config), patient=patient)
    done = subprocess.run(["bash"], input=script.encode(), check=False, capture_output=True)
    return [answer["kind"] for answer in answers(done.stdout)]


def test_a_moments_refusal_is_asked_again(tmp_path: Path) -> None:
    with refusing(1) as port:
        assert kinds(tmp_path, port, patient=True) == ["NodeList"]


def test_who_waits_in_a_loop_of_its_own_does_not_wait_here(tmp_path: Path) -> None:
    with refusing(1) as port:
        assert kinds(tmp_path, port, patient=False) == []


def test_nobody_there_is_no_answer(tmp_path: Path) -> None:
    with refusing(9) as port:
        assert kinds(tmp_path, port, patient=True) == []
