"""Whether mathruler is installed, and in which version."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from vlm_uec.errors import UserError

VERSION = "0.1.0"
INSTALL = "pip install mathruler==0.1.0 pylatexenc==2.11 sympy tqdm"
_PACKAGES = ("mathruler", "pylatexenc", "sympy")  # they determine a verdict


def check_installed() -> None:
    """Raises UserError, with the command that installs it, unless mathruler 0.1.0 can be used."""
    try:
        versions = {name: version(name) for name in _PACKAGES}
    except PackageNotFoundError as error:
        raise UserError(f"mathruler: the package {error.name} is not installed; {INSTALL}") from error
    if versions["mathruler"] != VERSION:
        raise UserError(f"mathruler {versions['mathruler']} is installed, not {VERSION}; {INSTALL}")


def fingerprint() -> str:
    """The packages that determine a verdict, with their versions."""
    return ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
