"""Write all vectors, or with a folder all of them below it.

python -m vectors.make [FOLDER]
"""

import importlib
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import vectors.make


def makers() -> Iterator[ModuleType]:
    """Yield the modules that write vectors: those with a ``FOLDER`` and a ``main``, but for what only records."""
    for found in pkgutil.iter_modules(vectors.make.__path__):
        if not found.name.startswith(("_", "record_")) and not found.ispkg:
            module = importlib.import_module(f"vectors.make.{found.name}")
            if hasattr(module, "FOLDER") and hasattr(module, "main"):
                yield module


def main(below: Path | None = None) -> None:
    """Run every maker into its own folder, or into one of that name *below* another."""
    for maker in makers():
        maker.main(below / maker.FOLDER.name if below else maker.FOLDER)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else None)
