from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kbootstrap.errors import PkiUnusable
from kbootstrap.pki import paths
from kbootstrap.pki.authority import Pki
from kbootstrap.pki.create import create_pki
from kbootstrap.pki.files import pki_files
from kbootstrap.pki.identity import identity, public_half
from kbootstrap.pki.keys import public_of
from kbootstrap.pki.recover import PAIRS, PKI_PATHS, Survey, recover_pki

NOW = datetime(2026, 8, 1, tzinfo=UTC)
PKI, OTHER = (create_pki("demo", NOW, 3650) for _ in range(2))
WRITTEN = {file.path: file.content for file in pki_files(PKI)}
FOREIGN = {file.path: file.content for file in pki_files(OTHER)}
ORDER = tuple(WRITTEN)
Hosts = dict[str, dict[PurePosixPath, bytes]]

hosts = st.integers(1, 3).map(lambda count: [f"cp{number + 1}" for number in range(count)])
prefixes = hosts.flatmap(
    lambda names: st.fixed_dictionaries({name: st.integers(0, len(ORDER)).map(lambda n: ORDER[:n]) for name in names})
)
subsets = hosts.flatmap(lambda names: st.fixed_dictionaries({name: st.sets(st.sampled_from(ORDER)) for name in names}))


def recover(files: Mapping[str, Mapping[PurePosixPath, bytes]], now: datetime = NOW) -> Pki | None:
    return recover_pki(Survey(files), "demo", now, 3650)


def agrees(pki: Pki, files: Mapping[str, Mapping[PurePosixPath, bytes]]) -> bool:
    own = {file.path: identity(file.path, file.content) for file in pki_files(pki)}
    return all(own[path] == identity(path, content) for has in files.values() for path, content in has.items())


def is_whole(pki: Pki) -> bool:
    own = {file.path: file.content for file in pki_files(pki)}
    return all(public_half(own[public]) == public_of(own[private]) for public, private in PAIRS)


def test_the_paths_are_the_same() -> None:
    assert set(ORDER) == set(PKI_PATHS)


@given(prefixes, st.data())
def test_a_first_run_killed_anywhere_converges(
    written: dict[str, tuple[PurePosixPath, ...]], data: st.DataObject
) -> None:
    """Two runs die, each anywhere on each host; every host then has files of one Pki only."""
    files: Hosts = {name: {path: WRITTEN[path] for path in has} for name, has in written.items()}
    pki = recover(files)
    if not any(files.values()):
        assert pki is None
        return
    assert pki is not None
    assert agrees(pki, files)
    assert is_whole(pki)
    for name in files:
        reached = data.draw(st.integers(0, len(ORDER)), label=f"{name} reached")
        files[name].update({file.path: file.content for file in pki_files(pki)[:reached]})
    again = recover(files, NOW + timedelta(hours=1))
    assert again is not None
    assert agrees(again, files)
    assert is_whole(again)


@given(subsets)
def test_any_subset_converges_or_lacks_a_key(written: dict[str, set[PurePosixPath]]) -> None:
    files: Hosts = {name: {path: WRITTEN[path] for path in has} for name, has in written.items()}
    everywhere = set().union(*written.values())
    assume(everywhere)
    if any(public in everywhere and private not in everywhere for public, private in PAIRS):
        with pytest.raises(PkiUnusable):
            recover(files)
        return
    pki = recover(files)
    assert pki is not None
    assert agrees(pki, files)
    assert is_whole(pki)


@given(subsets, st.sampled_from(["remains", "unread"]))
def test_nothing_is_made_for_a_cluster_that_may_exist(written: dict[str, set[PurePosixPath]], sign: str) -> None:
    """With remains or a silent host there is either exactly what was there, or an error."""
    files = {name: {path: WRITTEN[path] for path in has} for name, has in written.items()}
    survey = (
        Survey(files, remains={"cp1": ("/var/lib/etcd/member",)})
        if sign == "remains"
        else Survey(files, unread=("cp9",))
    )
    if set(ORDER) - {paths.SERVICE_ACCOUNT_PUBLIC} <= set().union(*written.values()):
        assert recover_pki(survey, "demo", NOW, 3650) == PKI
    else:
        with pytest.raises(PkiUnusable) as raised:
            recover_pki(survey, "demo", NOW, 3650)
        assert raised.value.hint or all(problem.hint for problem in raised.value.problems)


@given(st.sampled_from(ORDER))
def test_one_foreign_file_is_refused(path: PurePosixPath) -> None:
    with pytest.raises(PkiUnusable) as raised:
        recover({"cp1": WRITTEN, "cp2": WRITTEN, "cp3": {**WRITTEN, path: FOREIGN[path]}})
    (problem,) = raised.value.problems
    assert problem.file == str(path)
    assert "cp1, cp2: " in problem.message
    assert "cp3: " in problem.message
    assert problem.hint
    assert "PRIVATE" not in problem.message


@pytest.mark.parametrize(("public", "private"), PAIRS)
def test_a_key_of_another_certificate_is_refused(public: PurePosixPath, private: PurePosixPath) -> None:
    with pytest.raises(PkiUnusable) as raised:
        recover({"cp1": {**WRITTEN, private: FOREIGN[private]}})
    assert [problem.file for problem in raised.value.problems] == [str(private)]


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(PkiUnusable) as raised:
        recover({"cp1": WRITTEN, "cp2": FOREIGN})
    assert {problem.file for problem in raised.value.problems} == {str(path) for path in ORDER}


@pytest.mark.parametrize("path", ORDER)
def test_damaged_copies_give_way_and_empty_ones_do_not_count(path: PurePosixPath) -> None:
    for content in (b"", b"\n", b"junk", WRITTEN[path][:40]):
        assert recover({"cp1": {**WRITTEN, path: content}, "cp2": WRITTEN}) == PKI
    with pytest.raises(PkiUnusable, match="do not fit"):
        recover({"cp1": {**WRITTEN, path: b"junk"}})


def test_older_encryption_keys_come_back() -> None:
    rotated = Pki(
        PKI.kubernetes, PKI.etcd, PKI.front_proxy, PKI.service_account, OTHER.encryption_key, (PKI.encryption_key,)
    )
    files = {file.path: file.content for file in pki_files(rotated)}
    assert recover({"cp1": files}) == rotated


def test_turning_encryption_off_keeps_the_key() -> None:
    plain = {file.path: file.content for file in pki_files(PKI, encrypt=False)}
    assert recover({"cp1": plain, "cp2": WRITTEN}) == PKI


def test_no_host_and_no_file() -> None:
    assert recover({}) is None
    assert recover({"cp1": {}}) is None


def test_writing_order_puts_keys_first() -> None:
    for public, private in PAIRS:
        assert ORDER.index(private) < ORDER.index(public)
