"""Requests for API versions that a coming Kubernetes no longer has, as an apiserver has counted them."""

import re
from dataclasses import dataclass

from kbootstrap.facts.fact import Single

METRIC = "apiserver_requested_deprecated_apis"
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True, order=True)
class DeprecatedRequest:
    """Somebody asked for this since the apiserver was started; `removed` is the minor without it, e.g. `1.37`."""

    group: str
    version: str
    resource: str
    removed: str

    def __str__(self) -> str:
        return f"{self.resource} in {self.group + '/' if self.group else ''}{self.version}, gone in {self.removed}"


@dataclass(frozen=True, slots=True)
class DeprecatedRequests(Single[tuple[DeprecatedRequest, ...]]):
    """Of one apiserver, by its own metrics; none when it does not answer. `kubectl` names its server."""

    kubectl: str

    @property
    def command(self) -> str:
        return f"{self.kubectl} get --raw=/metrics | grep '^{METRIC}{{'"

    def value(self, output: bytes) -> tuple[DeprecatedRequest, ...]:
        rows = (dict(_LABEL.findall(line)) for line in output.decode(errors="replace").splitlines())
        found = {
            DeprecatedRequest(row["group"], row["version"], row["resource"], row["removed_release"])
            for row in rows
            if row.get("removed_release")
        }
        return tuple(sorted(found))
