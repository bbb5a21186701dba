"""Artifacts on a host: checked, noted, and noticed when they are touched."""

import hashlib
from pathlib import Path, PurePosixPath

from kbootstrap.artifacts.artifact import Artifact, ArtifactRef
from kbootstrap.engine.script import fetch_from_folder, fetch_over_http
from kbootstrap.steps.delivery import Delivery
from tests.local_host import due, make, shell

CONTENT = b"#!/bin/sh\necho tool\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def delivery(path: Path) -> Delivery:
    return Delivery(Artifact(ArtifactRef("tool", "1.0.0"), SHA256, len(CONTENT), Path("/cache")), PurePosixPath(path))


def pushed(folder: Path, content: bytes = CONTENT) -> str:
    folder.mkdir(exist_ok=True)
    (folder / SHA256).write_bytes(content)
    return fetch_from_folder(str(folder)) + "\n"


def test_a_delivered_file_is_whole_executable_and_settled(tmp_path: Path) -> None:
    tool = tmp_path / "opt" / "1.0.0" / "tool"
    change = make(delivery(tool), pushed(tmp_path / "incoming"))
    assert change.deliveries == (SHA256,)
    assert tool.read_bytes() == CONTENT
    assert tool.stat().st_mode & 0o777 == 0o755
    assert due(delivery(tool)) is None


def test_a_damaged_artifact_never_gets_its_final_name(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    make(delivery(tool), pushed(tmp_path / "incoming", b"garbage"), expect=lambda result: not result.ok)
    assert not tool.exists()


def test_a_file_that_was_removed_or_touched_is_delivered_again(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    make(delivery(tool), pushed(tmp_path / "incoming"))
    with tool.open("ab") as file:
        file.write(b"x")
    assert due(delivery(tool)) is not None
    make(delivery(tool), pushed(tmp_path / "incoming"))
    tool.unlink()
    assert due(delivery(tool)) is not None


def test_an_unreachable_depot_is_an_error_that_says_so(tmp_path: Path) -> None:
    fetch = fetch_over_http("http://127.0.0.1:9/sha256")
    result = shell(f"{fetch}\nfetch {SHA256} {tmp_path / 'tool'}")
    assert not result.ok
    assert "did not arrive whole from http://127.0.0.1:9" in result.errors
