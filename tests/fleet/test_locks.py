"""Lock files: their packages can be installed, and `mirrorfleet lock` creates new ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mirrorfleet import advisory_folders, fleet
from mirrorfleet.checks import advisories
from mirrorfleet.config.lock_files import pins
from mirrorfleet.data import table

ROOT = Path(__file__).parents[2]
FLEET = ROOT / "tests/fleet/bad/base/whole.yml"
LOCKS = sorted([*ROOT.glob("roles/*/locks/*.txt"), ROOT / "requirements.lock"])


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_lock_files_pin_no_vulnerable_packages(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(list(pins(text))) == len(re.findall(r"^[^#\s-]", text, re.M)) > 0
    found = advisories.pinned(advisory_folders.advisories(FLEET), text)
    assert not [hit for _, _, hits in found for hit in hits if hit.refused]


def test_every_release_of_litellm_has_its_price_list() -> None:
    locks = {path.stem for path in (ROOT / "roles/litellm/locks").glob("*.txt")}
    lists = {path.stem for path in (ROOT / "mirrorfleet/data/litellm_models").glob("*.json")}
    assert lists == locks


def test_every_release_of_litellm_has_its_known_names() -> None:
    for release in fleet.load(FLEET).locks.releases("litellm"):
        assert table(f"litellm_known/{release}")["router_settings"]


@pytest.mark.usefixtures("project")
def change(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def test_a_lock_file_with_a_vulnerable_package_is_refused(project: Path) -> None:
    change(project / "roles/litellm/locks/1.106.12.txt", "h11==0.16.0", "h11==0.14.0")
    with pytest.raises(fleet.FleetError) as error:
        fleet.load(FLEET)
    assert str(error.value).endswith(
        "gateway.version: its lock file pins h11 0.14.0, which must not be installed: "
        "CVE-2025-43859 (requests can be smuggled past a proxy; "
        "github.com/advisories/GHSA-vqfr-h8mv-ghfj). "
        "Update it with `mirrorfleet lock litellm 1.106.12`, or choose another release."
    )


def test_a_lock_file_with_a_mismatched_compiler_is_refused(project: Path) -> None:
    path = project / "roles/vllm/locks/0.32.0.txt"
    path.write_text(
        path.read_text().replace("nvidia-cuda-nvcc==13.0.88", "nvidia-cuda-nvcc==13.5.37")
    )
    with pytest.raises(fleet.FleetError) as error:
        fleet.load(ROOT / "inventories/prod.yml")
    assert (
        "its lock file pins nvidia-cuda-nvcc 13.5.37 beside nvidia-cuda-runtime 13.0.96, and their "
        "releases of CUDA must be equal: engines could not compile their kernels. "
        "Update it with `mirrorfleet lock vllm 0.32.0`, or choose another release."
    ) in str(error.value)
