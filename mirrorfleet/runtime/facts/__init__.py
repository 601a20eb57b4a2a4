"""The facts about a host that a run can ask for, all in one exec (`mirrorfleet.runtime.observe`).

docs/contributing/adding.md shows how to add a fact: a shell function that prints lines, a frozen
`Fact` that reads them, and a role whose ``facts(plan)`` returns it.
"""

from mirrorfleet.runtime.facts.common import (
    Answer,
    Content,
    Disk,
    Exists,
    File,
    Link,
    Package,
    Services,
    Tree,
    User,
)
from mirrorfleet.runtime.facts.fact import Fact, Lines, last, pairs
from mirrorfleet.runtime.facts.gpus import Gpu, GpuReport, Gpus
from mirrorfleet.runtime.facts.sizes import FileSizes
from mirrorfleet.runtime.facts.units import Listening, Unit, UnitState

__all__ = [
    "Answer",
    "Content",
    "Disk",
    "Exists",
    "Fact",
    "File",
    "FileSizes",
    "Gpu",
    "GpuReport",
    "Gpus",
    "Lines",
    "Link",
    "Listening",
    "Package",
    "Services",
    "Tree",
    "Unit",
    "UnitState",
    "User",
    "last",
    "pairs",
]
