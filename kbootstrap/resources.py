"""The files that come with the package: templates, playbooks, example inventories."""

from pathlib import Path


def folder(name: str) -> Path:
    """`templates`, `playbooks` or `inventories`: in a checkout beside the package, in a wheel inside it."""
    package = Path(__file__).parent
    bundled = package / "_bundled" / name
    return bundled if bundled.is_dir() else package.parent / name
