"""What to say when an optional dependency is missing."""

from __future__ import annotations

import importlib.util
import sys


def require_extra(purpose: str, extra: str, modules: tuple[str, ...]) -> None:
    """Raise `ImportError` with the install command unless all `modules` can be imported."""
    missing = [module for module in modules if not is_installed(module)]
    if missing:
        raise ImportError(
            f"{purpose} needs {', '.join(missing)}, which is not installed: pip install 'openmem[{extra}]'"
        )


def is_installed(module: str) -> bool:
    """Whether a module can be imported; only the packages that it is in are imported here."""
    try:
        return sys.modules.get(module) is not None or importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # One of those packages is missing.
        return False
