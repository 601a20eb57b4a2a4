"""The records of an Ollama's models, which root owns: a module of model_manager.py."""

from __future__ import annotations

import json
import os
from typing import Any

Ledger = dict[str, dict[str, Any]]


def read(path: str) -> Ledger:
    """Return a record; an unreadable one counts as empty."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            ledger = json.load(file)
    except (OSError, ValueError):
        return {}
    return ledger if isinstance(ledger, dict) else {}


def write(path: str, ledger: Ledger) -> None:
    """Replace the ledger, and the records of proofs, which verify reads."""
    proofs = {name: entry["proof"] for name, entry in ledger.items() if "proof" in entry}
    directory = os.path.join(os.path.dirname(path), "proofs")  # noqa: PTH118, PTH120
    os.makedirs(directory, mode=0o755, exist_ok=True)  # noqa: PTH103
    replace(path, ledger)
    replace(os.path.join(directory, "models.json"), proofs)  # noqa: PTH118


def replace(path: str, content: Ledger) -> None:
    """Replace a record atomically."""
    with open(f"{path}.new", "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(content, file, indent=1, sort_keys=True)
        file.write("\n")
    os.replace(f"{path}.new", path)  # noqa: PTH105


def beside(path: str) -> str:
    """Return the path of the record of pulled tags, beside the ledger."""
    return os.path.join(os.path.dirname(path), "pulled.json")  # noqa: PTH118, PTH120
