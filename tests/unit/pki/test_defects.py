from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbootstrap.pki.certificate import defects
from kbootstrap.pki.issue import create_authority, issue
from kbootstrap.pki.spec import CertificateSpec

NOW = datetime(2026, 8, 1, tzinfo=UTC)
CA = create_authority("kubernetes-ca", "demo", NOW, 3650)
SPEC = CertificateSpec("web", ("team",), ("a", "b"), (IPv4Address("10.0.0.1"),), server=True)
CERTIFICATE, KEY = issue(CA, SPEC, NOW, 365)


def found(
    spec: CertificateSpec = SPEC,
    certificate: bytes = CERTIFICATE,
    key: bytes = KEY,
    *,
    days: float = 0,
    before: int = 60,
) -> tuple[str, ...]:
    return defects(spec, certificate, key, CA, NOW + timedelta(days=days), timedelta(days=before))


def test_a_good_one_has_none() -> None:
    assert found() == ()
    reordered = replace(SPEC, names=("b", "a"))
    assert found(reordered) == ()


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (304.9, ()),
        (306, ("it has 59 days left",)),
        (365, ("it expired on 2027-08-01",)),
        (-1, ("it is not valid before 2026-07-31 23:55 UTC",)),
    ],
)
def test_lifetime(days: float, expected: tuple[str, ...]) -> None:
    assert found(days=days) == expected


def test_nothing_is_renewed_that_would_not_last_longer() -> None:
    authority = create_authority("ca", "demo", NOW, 100)
    certificate, key = issue(authority, SPEC, NOW, 365)
    late = NOW + timedelta(days=99)
    assert defects(SPEC, certificate, key, authority, late, timedelta(days=60)) == ()
    assert defects(SPEC, certificate, key, authority, late + timedelta(days=1), timedelta()) == (
        "it expired on 2026-11-09",
    )


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (replace(SPEC, common_name="other"), "it is for web, not for other"),
        (replace(SPEC, organizations=("x",)), "groups: +x -team"),
        (replace(SPEC, names=("a", "c")), "names: +c -b"),
        (replace(SPEC, addresses=()), "names: -10.0.0.1"),
        (replace(SPEC, client=True), "usages: server -> server and client"),
    ],
)
def test_other_spec(spec: CertificateSpec, expected: str) -> None:
    assert found(spec) == (expected,)


def test_missing_damaged_and_foreign() -> None:
    other, other_key = issue(create_authority("kubernetes-ca", "demo", NOW, 3650), SPEC, NOW, 365)
    assert found(certificate=b"") == ("there is no certificate",)
    assert found(certificate=b"junk") == ("the certificate cannot be read",)
    assert found(certificate=CERTIFICATE[:200]) == ("the certificate cannot be read",)
    assert found(certificate=CERTIFICATE.replace(b"M", b"N", 1)) == ("the certificate cannot be read",)
    assert found(key=b"") == ("there is no key",)
    assert found(key=b"junk") == ("the key cannot be read",)
    assert found(key=other_key) == ("the key belongs to another certificate",)
    assert found(certificate=other, key=other_key) == ("it was issued by another authority",)


names = st.sampled_from(["a", "b.c", "kubernetes"])


@given(
    spec=st.builds(
        CertificateSpec,
        common_name=st.sampled_from(["web", "system:node:cp1"]),
        organizations=st.lists(names, unique=True).map(tuple),
        names=st.lists(names, unique=True).map(tuple),
        addresses=st.lists(st.ip_addresses(), max_size=3, unique=True).map(tuple),
        server=st.booleans(),
        client=st.booleans(),
    ),
    days=st.integers(1, 5000),
    renew_before=st.integers(0, 6000),
    authority_days=st.integers(1, 5000),
    later=st.integers(0, 6000),
)
def test_what_was_just_issued_is_good(
    spec: CertificateSpec, days: int, renew_before: int, authority_days: int, later: int
) -> None:
    """Whatever the lifetimes: no run ever issues what the next would issue again."""
    authority = create_authority("ca", "demo", NOW, authority_days)
    now = NOW + timedelta(days=min(later, authority_days - 1))
    certificate, key = issue(authority, spec, now, days)
    assert defects(spec, certificate, key, authority, now, timedelta(days=renew_before)) == ()
