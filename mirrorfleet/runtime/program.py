"""Python programs of several files, sent to a host as one text for ``python3 -c``."""

from __future__ import annotations

import base64
import zlib
from pathlib import Path

LOADER = """\
import sys, types
def _load(name, text):
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(text, name, "exec", dont_inherit=True), module.__dict__)
"""


def program(package: str, *files: Path) -> str:
    """Return one program that runs the last file; the others are modules of ``package``.

    The files import each other as on this machine: ``from PACKAGE.STEM import …``. Each file stands
    after those that it imports. The text is packed: a program travels several times in a run, and
    its quotes would be quoted again for each shell on the way.
    """
    *modules, main = files
    loads = (f"_load({f'{package}.{file.stem}'!r}, {_text(file)!r})\n" for file in modules)
    text = LOADER + "".join(loads) + f"exec(compile({_text(main)!r}, {main.name!r}, 'exec'))\n"
    packed = base64.b64encode(zlib.compress(text.encode(), 9)).decode()
    return f'import base64, zlib; exec(zlib.decompress(base64.b64decode("{packed}")))'


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")
