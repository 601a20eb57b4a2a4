"""The fact for the installation of NVIDIA's driver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mirrorfleet.runtime.facts import Fact, Lines


@dataclass(frozen=True)
class DriverState:
    """The state of a driver's package in apt and in the kernel.

    ``offers`` maps the packages that apt would install to their versions, and those that it would
    remove to "". ``refused`` is apt's error, if any. ``modules`` maps nvidia and nouveau, if the
    kernel has loaded them, to their releases. ``headless`` is the kernel's release if its headers
    are not available. With ``unsigned``, Secure Boot rejects modules that DKMS signs.
    """

    offers: Mapping[str, str] = field(default_factory=dict)
    installed: str = ""
    refused: str = ""
    modules: Mapping[str, str] = field(default_factory=dict)
    headless: str = ""
    unsigned: bool = False


@dataclass(frozen=True)
class DriverPackage(Fact[DriverState]):
    """The state of a package of NVIDIA's driver."""

    package: str

    function = "driver"
    shell = (Path(__file__).parent / "driver.sh",)

    def value(self, lines: Lines) -> DriverState:
        offers = {
            name: version for kind, name, *rest in lines if kind == "offer" for version in rest
        }
        words = {kind: value for kind, value, *_ in lines if kind != "offer"}
        return DriverState(
            offers=offers,
            installed=words.get("installed", ""),
            refused=words.get("refused", ""),
            modules={name: words[name] for name in ("nvidia", "nouveau") if name in words},
            headless=words.get("headless", ""),
            unsigned="unsigned" in words,
        )
