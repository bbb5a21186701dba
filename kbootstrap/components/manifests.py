"""Objects in the cluster: applied by the server, known again by a digest in an annotation."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, NamedTuple, Self

import yaml

from kbootstrap.components.kubectl import FIELD_MANAGER, kubectl
from kbootstrap.components.objects import yaml_file
from kbootstrap.facts.api import answers, ask, collection, items
from kbootstrap.facts.fact import Fact, Facts
from kbootstrap.steps.file import File
from kbootstrap.steps.step import Change, Paths, fingerprint

FOLDER = PurePosixPath("/etc/kubernetes/addons")
DIGEST = "kbootstrap.io/digest"
MANAGED_BY = "app.kubernetes.io/managed-by"


APPLY_SECONDS = 60
"""For one request, scaled; apiservers give up what takes them longer (--request-timeout's default)."""

_PASSING = "|".join(
    f"*'{text}'*"
    for text in (
        "already allocated",  # the address of a Service that a killed run still asks for
        "in the time allotted",
        "unable to handle the request",
        "etcdserver: ",
        "Client.Timeout",
        "connection refused",
    )
)
"""What the API says that may be gone a moment later; the others are of an apiserver that has just started."""

_PATIENTLY = """\
tries=5
until said=$({apply} 2>&1 >/dev/null); do
  case $said in {passing}) tries=$((tries - 1)) ;; *) tries=0 ;; esac
  if [ $tries -eq 0 ]; then printf '%s\\n' "$said" >&2; exit 1; fi
  sleep 1
done"""


class ObjectKey(NamedTuple):
    """What identifies an object; `namespace` is empty for those of the whole cluster."""

    kind: str
    namespace: str
    name: str


class ObjectKind(NamedTuple):
    """A kind of objects, as a manifest names it."""

    api_version: str
    kind: str


@dataclass(frozen=True, slots=True)
class ManagedObjects(Fact[Mapping[ObjectKey, str]]):
    """The digests of kbootstrap's objects of some kinds; none where no apiserver answers (a new cluster)."""

    waits = True

    kinds: tuple[ObjectKind, ...]

    @classmethod
    def script(cls, facts: Sequence[Self]) -> str:
        kinds = sorted({kind for fact in facts for kind in fact.kinds})
        return ask(
            [f"{collection(*kind)}?labelSelector={MANAGED_BY}%3D{FIELD_MANAGER}" for kind in kinds], patient=True
        )

    @classmethod
    def parse(cls, facts: Sequence[Self], output: bytes) -> Mapping[Self, Mapping[ObjectKey, str]]:
        digests = {
            _key({**item, "kind": answer["kind"].removesuffix("List")}): _digest_of(item)
            for answer in answers(output)
            for item in items(answer)
        }
        return dict.fromkeys(facts, digests)


@dataclass(frozen=True, slots=True)
class Manifests:
    """Objects that must be in the cluster, kept in a file on the host as well.

    An object is applied when it is missing or its digest is not the wanted one. Server-side: what others add to an
    object (replicas by an autoscaler, say, when we name none) stays theirs.
    """

    name: str
    objects: tuple[Mapping[str, Any], ...]
    content: bytes = field(repr=False)
    """The objects as YAML, for the file."""

    @classmethod
    def from_yaml(cls, name: str, text: bytes) -> Self:
        """The objects of a YAML stream, marked as ours."""
        items = yaml.load_all(text, Loader=yaml.CSafeLoader)
        objects = tuple(_marked(item) for item in items if item)
        return cls(name, objects, yaml_file(*objects))

    def needs(self) -> Sequence[Fact[Any]]:
        return (self._fact(), *self.file.needs())

    def diff(self, seen: Facts, touched: Paths) -> Change | None:
        there = seen[self._fact()]
        due = [item for item in self.objects if there.get(_key(item)) != _digest_of(item)]
        written = self.file.diff(seen, touched)
        if not due and written is None:
            return None
        # A server-side apply refuses unknown fields by itself. kubectl's own look at them would make a new apiserver
        # write down the schema of all its groups first, which takes an emulated one minutes.
        options = f"--server-side --force-conflicts --validate=ignore --field-manager={FIELD_MANAGER}"
        command = kubectl(f"apply {options} --filename={self.file.path}", timeout=APPLY_SECONDS)
        apply = _PATIENTLY.format(apply=command, passing=_PASSING)
        return Change(
            title=f"apply {self.name}",
            script="\n".join([*([written.script] if written else []), *([apply] if due else [])]),
            fingerprint=fingerprint("manifests", self.name, *(_digest_of(item) for item in self.objects)),
            diff="\n".join(
                [
                    *(f"{'change' if _key(item) in there else 'create'} {_text(_key(item))}" for item in due),
                    *([written.diff] if written else []),
                ]
            ),
            paths=written.paths if written else frozenset(),
        )

    def _fact(self) -> ManagedObjects:
        return ManagedObjects(tuple(sorted({ObjectKind(item["apiVersion"], item["kind"]) for item in self.objects})))

    @property
    def file(self) -> File:
        return File(FOLDER / f"{self.name}.yaml", self.content)


def _marked(item: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = item["metadata"]
    labels = {**metadata.get("labels", {}), MANAGED_BY: FIELD_MANAGER}
    marked = {**item, "metadata": {**metadata, "labels": labels}}
    digest = fingerprint(json.dumps(marked, sort_keys=True))[:16]
    annotations = {**metadata.get("annotations", {}), DIGEST: digest}
    return {**marked, "metadata": {**marked["metadata"], "annotations": annotations}}


def _digest_of(item: Mapping[str, Any]) -> str:
    """Empty where somebody has taken it off."""
    return str(item["metadata"].get("annotations", {}).get(DIGEST, ""))


def _key(item: Mapping[str, Any]) -> ObjectKey:
    metadata = item["metadata"]
    return ObjectKey(item["kind"], metadata.get("namespace", ""), metadata["name"])


def _text(key: ObjectKey) -> str:
    return f"{key.kind} {key.namespace + '/' if key.namespace else ''}{key.name}"
