"""The API as the probes' surroundings need it: to put things there, to read them back, and to take them away."""

import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from kbootstrap.errors import CommandFailed, Unreachable
from kbootstrap.probes.spec import Credentials, Target
from kbootstrap.probes.tls import context

REQUEST_SECONDS = 10.0

PATIENCE = 30.0
"""Seconds through which a request is repeated: what was done to the cluster may have only just ended."""

PAUSE = 0.3

PAGE = 2000
"""Objects in one answer of a list: a megabyte."""

NAMES_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"

Object = dict[str, Any]


class Refused(CommandFailed):
    """The API answered, but not with what was asked for."""

    def __init__(self, request: str, status: int, body: bytes) -> None:
        super().__init__(f"the API answered {status}: {_message(body)}", command=request)
        self.status = status


@dataclass(slots=True)
class Api:
    """The API at an address. Every request can be repeated, and is until `patience` seconds have passed.

    Raises Unreachable when there is no answer, Refused for one that is an error.
    """

    target: Target
    credentials: Credentials
    patience: float = PATIENCE
    _tls: ssl.SSLContext = field(init=False)

    def __post_init__(self) -> None:
        self._tls = context(self.credentials)

    def get(self, path: str, **query: str) -> Object:
        found: Object = json.loads(self._ask("GET", path, query))
        return found

    def apply(self, path: str, body: Object, owner: str) -> Object:
        """Makes the object at `path` be as `body` says (a server-side apply by the field manager `owner`)."""
        query = {"fieldManager": owner, "force": "true"}
        made: Object = json.loads(self._ask("PATCH", path, query, body, content="application/apply-patch+yaml"))
        return made

    def delete(self, path: str, **options: str) -> None:
        """An object or all of a list; also when it is not there."""
        try:
            self._ask("DELETE", path, options)
        except Refused as refused:
            if refused.status != HTTPStatus.NOT_FOUND:
                raise

    def names(self, path: str, **selected: str) -> Iterator[str]:
        """The names of all objects in a list, a page at a time; after a page that expired, once more from the top."""
        place = ""
        while True:
            query = {**selected, "limit": str(PAGE), **({"continue": place} if place else {})}
            try:
                page = json.loads(self._ask("GET", path, query, accept=NAMES_ONLY))
            except Refused as refused:
                if refused.status != HTTPStatus.GONE:
                    raise
                place = ""
                continue
            yield from (item["metadata"]["name"] for item in page["items"] or ())
            place = page["metadata"].get("continue", "")
            if not place:
                return

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Object | None = None,
        *,
        content: str = "application/json",
        accept: str = "application/json",
    ) -> bytes:
        url = f"{path}?{urlencode(query)}" if query else path
        headers = {"Accept": accept, "Content-Type": content, "User-Agent": "kbootstrap-probe"}
        deadline = time.monotonic() + self.patience
        while True:
            try:
                return self._once(method, url, None if body is None else json.dumps(body), headers)
            except Unreachable:
                if time.monotonic() > deadline:
                    raise
            except Refused as refused:
                passing = refused.status == HTTPStatus.TOO_MANY_REQUESTS or refused.status >= 500
                if not passing or time.monotonic() > deadline:
                    raise
            time.sleep(PAUSE)

    def _once(self, method: str, url: str, body: str | None, headers: Mapping[str, str]) -> bytes:
        connection = _Connection(self.target, self.credentials.server_name, self._tls)
        try:
            connection.request(method, url, body, dict(headers))
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"the API does not answer: {error}", command=f"{method} {url}") from error
        finally:
            connection.close()
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise Refused(f"{method} {url}", answer.status, content)
        return content


class _Connection(http.client.HTTPSConnection):
    """Knows the server by its own name, also where it is reached through a tunnel."""

    def __init__(self, target: Target, server_name: str, tls: ssl.SSLContext) -> None:
        super().__init__(target.host, target.port, timeout=REQUEST_SECONDS)
        self._name, self._tls = server_name, tls

    def connect(self) -> None:
        plug = socket.create_connection((self.host, self.port), self.timeout)
        try:
            self.sock = self._tls.wrap_socket(plug, server_hostname=self._name)
        except OSError:
            plug.close()
            raise


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace").strip()[:200]
