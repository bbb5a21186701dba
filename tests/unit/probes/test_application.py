"""The application under test: what is deployed, that it is waited for, and that it is taken away again."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from kbootstrap.errors import CheckFailed, Unreachable
from kbootstrap.events import Event
from kbootstrap.probes import application
from kbootstrap.probes.api import Api, Refused
from kbootstrap.probes.application import NAMESPACES, Application, Stage, manifests, staged, wait_until_answered
from kbootstrap.probes.census import ready_replicas
from kbootstrap.probes.spec import Target
from tests.unit.probes.server import OK, Asked, Reaction, Server, answer, serving

APPLICATION = Application("registry.k8s.io/agnhost:1")


def by_kind(made: Application) -> dict[str, dict]:  # type: ignore[type-arg]
    return {item["kind"]: item for item in manifests(made)}


def test_every_selector_finds_the_pods() -> None:
    found = by_kind(APPLICATION)
    template = found["Deployment"]["spec"]["template"]
    labels = template["metadata"]["labels"]
    for selector in (
        found["Deployment"]["spec"]["selector"]["matchLabels"],
        found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        found["Service"]["spec"]["selector"],
    ):
        assert selector == labels
    assert Stage("here", 1).pods.endswith(f"app%3D{labels['app']}")


def test_it_is_as_its_users_would_have_it() -> None:
    found = by_kind(APPLICATION)
    deployment, pod = found["Deployment"]["spec"], found["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert (deployment["replicas"], found["PodDisruptionBudget"]["spec"]["minAvailable"]) == (2, 1)
    assert container["image"] == APPLICATION.image
    assert container["readinessProbe"]["httpGet"]["port"] == found["Service"]["spec"]["ports"][0]["targetPort"] == 8080
    assert pod["terminationGracePeriodSeconds"] > container["lifecycle"]["preStop"]["sleep"]["seconds"] >= 3
    assert "tolerations" not in pod
    tolerant = by_kind(Application("x", on_control_plane=True))["Deployment"]["spec"]["template"]["spec"]
    assert tolerant["tolerations"] == [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}]


@dataclass
class PlayedApi:
    """Namespaces that go away after some looks; `fail` answers the first requests instead."""

    stays: int = 2
    stale: tuple[str, ...] = ()
    fail: list[Reaction] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    deleted: list[str] = field(default_factory=list)
    applied: list[str] = field(default_factory=list)

    def __call__(self, asked: Asked) -> Reaction:
        if self.fail:
            return self.fail.pop(0)
        path = urlsplit(asked.path).path
        if asked.method == "PATCH":
            return self._apply(path, json.loads(asked.body))
        if asked.method == "DELETE":
            self.deleted.append(asked.path)
            self.gone.add(path)
            return OK
        if path == NAMESPACES:
            return listed(self.stale)
        self.stays -= path in self.gone
        return OK if self.stays > 0 else Reaction(answer("404 Not Found", b'{"message": "it is gone"}'))

    def _apply(self, path: str, body: dict) -> Reaction:  # type: ignore[type-arg]
        self.applied.append(path)
        if body["kind"] == "Service":
            body["spec"]["ports"][0]["nodePort"] = 31234
        return Reaction(answer(body=json.dumps(body).encode()))


def listed(names: tuple[str, ...], place: str = "") -> Reaction:
    """A page of a list."""
    items = [{"metadata": {"name": name}} for name in names] or None
    return Reaction(answer(body=json.dumps({"items": items, "metadata": {"continue": place}}).encode()))


def api(server: Server, patience: float = 10.0) -> Api:
    return Api(server.target, server.credentials, patience)


def test_it_is_deployed_and_taken_away(tmp_path: Path) -> None:
    played, told = PlayedApi(stale=("kbootstrap-probe-old",)), list[Event]()
    with serving(tmp_path, played) as server, staged(api(server), APPLICATION, "here", told.append) as stage:
        assert stage == Stage("here", 31234)
        assert played.deleted == [f"{NAMESPACES}/kbootstrap-probe-old"]
        assert {path.rpartition("namespaces/here")[2] for path in played.applied} == {
            "",
            "/configmaps/read",
            "/deployments/application",
            "/poddisruptionbudgets/application",
            "/services/application",
        }
        assert "/apis/policy/v1/namespaces/here/poddisruptionbudgets/application" in played.applied
        assert stage.read in played.applied
    assert played.deleted[1:] == [f"{NAMESPACES}/here", f"{NAMESPACES}/here/pods?gracePeriodSeconds=0"]
    assert told == []


def test_it_is_taken_away_after_a_failure(tmp_path: Path) -> None:
    played = PlayedApi()
    with (
        serving(tmp_path, played) as server,
        pytest.raises(ZeroDivisionError),
        staged(api(server), APPLICATION, "here", lambda _: None),
    ):
        raise ZeroDivisionError
    assert f"{NAMESPACES}/here" in played.deleted


def test_what_does_not_go_away_is_told_and_fails_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "GONE_SECONDS", 0.5)
    told: list[Event] = []
    with serving(tmp_path, PlayedApi(stays=999)) as server:
        with staged(api(server), APPLICATION, "here", told.append):
            pass
        with staged(api(server, 0.1), APPLICATION, "here", told.append):
            server.stop()
    first, second = (event.text for event in told)  # type: ignore[union-attr]
    assert "takes a while to go away" in first
    assert "could not be taken away" in second


@pytest.mark.parametrize(
    "passing",
    [
        Reaction(then="reset"),
        Reaction(answer("503 Service Unavailable")),
        Reaction(answer("429 Too Many Requests", Retry_After="1")),
        Reaction(answer("500 Oops", b'{"message": "etcdserver: leader changed"}')),
    ],
)
def test_what_passes_is_waited_for(tmp_path: Path, passing: Reaction) -> None:
    with serving(tmp_path, PlayedApi(stale=("a",), fail=[passing, passing])) as server:
        assert list(api(server).names(NAMESPACES)) == ["a"]


def test_what_does_not_pass_is_an_error(tmp_path: Path) -> None:
    with serving(tmp_path, lambda _: Reaction(answer("403 Forbidden", b'{"message": "no"}'))) as server:
        with pytest.raises(Refused, match="403: no"):
            api(server).get("/x")
        server.react = lambda _: Reaction(answer("503 Oops"))
        with pytest.raises(Refused, match="503"):
            api(server, 0.1).get("/x")
        gone = api(server, 0.1)
    with pytest.raises(Unreachable, match="does not answer"):
        gone.get("/x")


def test_lists_are_read_page_by_page(tmp_path: Path) -> None:
    pages = {"": (("a", "b"), "one"), "one": ((), "two"), "two": (("c",), "")}

    def react(asked: Asked) -> Reaction:
        query = parse_qs(urlsplit(asked.path).query)
        return listed(*pages[query.get("continue", [""])[0]])

    with serving(tmp_path, react) as server:
        assert list(api(server).names("/objects")) == ["a", "b", "c"]


def test_a_list_that_expired_is_read_from_the_top(tmp_path: Path) -> None:
    answers = [listed(("a",), "one"), Reaction(answer("410 Gone")), listed(("a", "b"))]
    with serving(tmp_path, lambda _: answers.pop(0)) as server:
        assert set(api(server).names("/objects")) == {"a", "b"}


def test_ports_are_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [Reaction(then="reset"), Reaction(answer("503 Not yet"))]
    react: Callable[[Asked], Reaction] = lambda _: answers.pop(0) if answers else OK  # noqa: E731
    with serving(tmp_path, react, plain=True) as server:
        wait_until_answered([server.target], "/hostname", 1.0)
        assert len(server.asked) == 3
        monkeypatch.setattr(application, "READY_SECONDS", 0.3)
        server.react = lambda _: Reaction(answer("503 No"))
        with pytest.raises(CheckFailed, match="does not answer on w1"):
            wait_until_answered([Target(server.target.host, server.target.port, "w1")], "/hostname", 1.0)


def test_replicas_are_counted_as_the_budget_counts_them() -> None:
    def pod(ready: str, **metadata: str) -> dict[str, object]:
        return {"metadata": metadata, "status": {"conditions": [{"type": "Ready", "status": ready}]}}

    pods = [pod("True"), pod("False"), pod("Unknown"), pod("True", deletionTimestamp="now"), {"metadata": {}}]
    assert ready_replicas(json.dumps({"items": pods}).encode()) == 1
