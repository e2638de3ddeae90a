"""Do something when another package has been imported: at once if it has been, else behind its import.

Where that package is not installed, nothing is changed and nothing is left behind.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any


def when_imported(package: str, action: Callable[[], None]) -> None:
    """Call ``action`` once the top-level ``package`` has been imported, which this does not do."""
    module = sys.modules.get(package)
    if module is not None:
        action()
    # None there forbids the import.
    elif package not in sys.modules and _find(package, None, ()) is not None:
        sys.meta_path.insert(0, _Watcher(package, action))


class _Watcher:
    """Lets the other finders find the package, and what they have found call ``action`` behind its import."""

    def __init__(self, package: str, action: Callable[[], None]) -> None:
        self._package = package
        self._action: Callable[[], None] | None = action

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if name != self._package:
            return None
        spec = _find(name, target, (self,))
        if spec is not None and spec.loader is not None:
            self._follow(spec.loader)
        return spec

    def _follow(self, loader: Any) -> None:
        # The module keeps the loader that it would have had; whoever only asks for the spec imports nothing.
        load = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            load(module)
            if module.__name__ == self._package:
                loader.__dict__.pop("exec_module", None)
                self._arrived()

        loader.exec_module = exec_module

    def _arrived(self) -> None:
        action, self._action = self._action, None
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        if action is not None:
            action()


def _find(name: str, target: ModuleType | None, without: Sequence[object]) -> ModuleSpec | None:
    """The spec of a top-level module, as the import system finds it; nothing is imported."""
    for finder in sys.meta_path:
        if finder not in without and hasattr(finder, "find_spec"):
            spec = finder.find_spec(name, None, target)
            if spec is not None:
                return spec
    return None
