"""The facts about a host that a run can ask for. To add a fact:

1. Write its shell function, in a file beside the role that needs it: POSIX sh, changes nothing.
2. Let it print ``say FUNCTION ARGUMENT... FIELD...``: per finding one line that begins with the
   call, and nothing if there is nothing to report.
3. Write its kind: a frozen dataclass, a `Fact` of the value's type. Its fields are the arguments;
   ``value(lines)`` reads the lines and returns the default for none.
4. Return it from the role's ``facts(plan)``, and read it as ``observed[Kind(argument)]``.
5. Run the shell function in a test by `tests.roles.machine.Machine.look`.

All facts of a run travel in one exec: see `mirrorfleet.runtime.observe`.
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
from mirrorfleet.runtime.facts.units import Listening, Unit, UnitState

__all__ = [
    "Answer",
    "Content",
    "Disk",
    "Exists",
    "Fact",
    "File",
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
