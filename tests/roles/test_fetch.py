"""mirrorfleet fetch: a run after it downloads nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirrorfleet.cli.main import main
from mirrorfleet.roles.registry import roles
from mirrorfleet.runtime import cache
from tests.roles.answers import bare, observation_of
from tests.roles.conftest import Planned
from tests.roles.fleets import edit


@pytest.mark.usefixtures("offline_cache")
def test_a_run_after_fetch_downloads_nothing(
    project: Path,
    plans: Planned,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    copied = project / "copied"
    (project / "cache").rename(copied)
    assert main(["fetch", str(project / "inventories/lab.yml"), "--to", str(copied)]) == 0
    assert f"{copied}/mirrorfleet has the files of" in capsys.readouterr().out
    names = {path.name.rsplit("-", 1)[0] for path in (copied / "mirrorfleet/wheels").iterdir()}
    assert names == {"litellm-1.106.12", "vllm-0.32.0-cpu"}

    def refuse(*_: object) -> None:
        raise AssertionError("a run without internet access downloads a file")

    monkeypatch.setattr(cache, "_run", refuse)
    monkeypatch.setattr(cache, "_pip_download", refuse)
    for plan in plans("lab").hosts.values():
        for role in roles():
            role.fetch(plan, observation_of(bare(plan)))


def test_fetch_is_an_error_if_hosts_download_packages_themselves(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(project, "lab", "packages: controller", "packages: registry")
    assert main(["fetch", str(project / "inventories/lab.yml")]) == 1
    assert "Set packages: controller." in capsys.readouterr().err
