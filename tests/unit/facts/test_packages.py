"""What dpkg has installed."""

from kbootstrap.facts.packages import InstalledPackages

SHOWN = b"""\
ii adduser 3.134
hi kubelet 1.2-3
iU nginx 1.22.1-9+deb12u10
iHRpci.ids 0.0~2023.04.11-1
rc old 1
it libc-bin 2.36-9+deb12u14
"""
"""As `dpkg-query` says it after an installation was cut short: only what is complete counts, held or not."""


def test_only_what_is_fully_installed_is_there_with_its_version() -> None:
    assert InstalledPackages().value(SHOWN) == {"adduser": "3.134", "kubelet": "1.2-3"}


def test_a_host_without_dpkg_has_none() -> None:
    assert InstalledPackages().value(b"") == {}
