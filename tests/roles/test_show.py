"""mirrorfleet show: what hosts will get, without a host and without a secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from mirrorfleet.cli.main import main

INVENTORIES = Path(__file__).parents[2] / "inventories"
KEY = "{key of ada, rotation 1.1.1, from {env: MIRRORFLEET_KEY_ROOT}}"
NOT_ALONE = ("scopes", "crowded")
GOOD = Path(__file__).parents[1] / "fleet" / "good"


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, str]:
    """Run the command and return the files that it prints, by "host: path"."""
    assert main(["show", *arguments]) == 0
    parts = capsys.readouterr().out.split("==> ")[1:]
    return dict(part.split(" <==\n", 1) for part in parts)


def test_a_gateways_files(capsys: pytest.CaptureFixture[str]) -> None:
    files = shown(capsys, str(INVENTORIES / "prod.yml"), "--host", "gw-a")
    assert {name.split(": ")[0] for name in files} == {"gw-a"}
    config = yaml.safe_load(files["gw-a: /opt/mirrorfleet/litellm/current/config.yaml"])
    assert config["router_settings"]["model_group_alias"]["opus"] == "coder"
    assert (
        "--num_workers="
        in files["gw-a: /opt/mirrorfleet/litellm/current/mirrorfleet-litellm.service"]
    )


def test_references_stand_where_secrets_will_be(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LITELLM_MASTER_KEY", "ENGINE_KEY", "MIRRORFLEET_KEY_ROOT"):
        monkeypatch.setenv(name, "sk-the-secret-itself")
    files = shown(capsys, str(INVENTORIES / "prod.yml"))
    assert not any("sk-the-secret-itself" in content for content in files.values())
    assert (
        "{env: LITELLM_MASTER_KEY}" in files["gw-a: /opt/mirrorfleet/litellm/current/environment"]
    )
    keys = json.loads(files["gw-a: /opt/mirrorfleet/litellm/keys/keys.json"])
    assert keys["keys"][0]["sha256"] == f"sha256 of {KEY}"
    assert files["dev-1: ~ada/.claude/mirrorfleet-key"].strip() == KEY


def test_the_backup_of_the_settings_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    files = shown(capsys, str(INVENTORIES / "prod.yml"), "--host", "dev-1")
    assert files["dev-1: ~ada/.claude/mirrorfleet-receipt.json"].strip() == (
        "(left out: the backup from which the user's own settings are restored)"
    )
    assert json.loads(files["dev-1: ~ada/.claude/settings.json"])["model"]
    assert sum(len(content.splitlines()) for content in files.values()) < 120


@pytest.mark.parametrize("path", sorted(GOOD.glob("*.yml")), ids=lambda path: path.stem)
def test_every_good_fleet_can_be_shown(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if path.stem in NOT_ALONE:
        pytest.skip("it pushes files that are not in the repository")
    assert shown(capsys, str(path))


def test_a_host_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(INVENTORIES / "prod.yml"), "--host", "gw-c"]) == 1
    assert "Did you mean 'gw-b'?" in capsys.readouterr().err
