"""Kubernetes objects as the API has them: JSON, through the official client."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from kbootstrap.errors import CommandFailed, Unreachable
from kbootstrap.private import private_folder
from kbootstrap.verify.api import SERVER_NAME, ApiAccess

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

REQUEST_SECONDS = 10.0
"""For an answer, before the inventory's scale."""

NOT_FOUND = 404

Object = dict[str, Any]


class ApiRefused(CommandFailed):
    """The API answered, but not with what was asked for."""

    def __init__(self, method: str, path: str, status: int, body: str) -> None:
        super().__init__(f"the API answered {status}: {_message(body)}", command=f"{method} {path}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Kube:
    """The API. Raises ApiRefused for every answer that is an error, Unreachable for none."""

    client: "ApiClient"
    seconds: float = REQUEST_SECONDS
    """For each answer."""

    def get(self, path: str, **query: str) -> Object:
        return self._object("GET", path, query=query)

    def items(self, path: str, **query: str) -> list[Object]:
        """What a list holds."""
        found: list[Object] = self.get(path, **query)["items"]
        return found

    def create(self, path: str, body: Object) -> Object:
        return self._object("POST", path, body=body)

    def delete(self, path: str) -> None:
        self._request("DELETE", path)

    def text(self, path: str) -> str:
        """An answer that is no JSON, such as a log."""
        return self._request("GET", path)

    def run(self, namespace: str, pod: str, command: Sequence[str]) -> str:
        """Runs a command in a pod; in words how it ended: `exit code 0`, and what it printed."""
        from kubernetes.client.exceptions import ApiException  # noqa: PLC0415
        from kubernetes.stream import ws_client  # noqa: PLC0415 - the typed API would import for a second more

        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/exec"
        try:
            session: Any = ws_client.websocket_call(  # type: ignore[no-untyped-call]
                self.client.configuration,
                "GET",
                f"{self.client.configuration.host}{path}",
                query_params=[("command", list(command)), ("stdout", "true"), ("stderr", "true")],
                headers={"sec-websocket-protocol": ws_client.V4_CHANNEL_PROTOCOL},
                _preload_content=False,
            )
            session.run_forever(timeout=self.seconds)
        except ApiException as error:
            raise CommandFailed(f"the API refuses: {error.reason}", command=f"GET {path}") from error
        ended = f"no end in {self.seconds:.0f} s" if session.is_open() else f"exit code {session.returncode}"
        return ": ".join(part for part in (ended, str(session.read_all()).strip()) if part)

    def _object(
        self, method: str, path: str, body: Object | None = None, query: Mapping[str, str] | None = None
    ) -> Object:
        found: Object = json.loads(self._request(method, path, body, query))
        return found

    def _request(
        self, method: str, path: str, body: Object | None = None, query: Mapping[str, str] | None = None
    ) -> str:
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 - comes with the client

        url = f"{self.client.configuration.host}{path}{'?' + urlencode(query) if query else ''}"
        headers = {"Accept": "application/json, */*", "Content-Type": "application/json"}
        try:
            answer: Any = self.client.call_api(method, url, headers, body, _request_timeout=self.seconds)
            content: str = answer.read().decode(errors="replace")
        except HTTPError as error:
            raise Unreachable(f"the API does not answer: {error}", command=f"{method} {path}") from error
        if answer.status >= 400:
            raise ApiRefused(method, path, answer.status, content)
        return content


@contextmanager
def opened(access: ApiAccess, scale: float = 1.0) -> Iterator[Kube]:
    """The API through `access`. The client's import takes half a second, so no command does it that need not."""
    from kubernetes.client import ApiClient, Configuration  # noqa: PLC0415

    with private_folder() as folder:
        configuration = Configuration()
        configuration.host = f"https://127.0.0.1:{access.port}"
        configuration.tls_server_name = SERVER_NAME
        configuration.ssl_ca_cert = _private(folder / "ca.crt", access.authority)
        configuration.cert_file = _private(folder / "client.crt", access.certificate)
        configuration.key_file = _private(folder / "client.key", access.key)
        configuration.proxy = None  # the tunnel begins on this machine, whatever the environment says
        configuration.retries = False
        with ApiClient(configuration) as client:
            yield Kube(client, REQUEST_SECONDS * scale)


def _private(path: Path, content: bytes) -> str:
    path.touch(mode=0o600)
    path.write_bytes(content)
    return str(path)


def _message(body: str) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.strip()[:200]
