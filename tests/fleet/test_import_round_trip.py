"""What Mirrorfleet writes on hosts can be imported, and gives the same gateways and clients."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mirrorfleet import fleet, importing
from mirrorfleet.importing.proof import mistakes
from mirrorfleet.jobs.show import files

GOOD = sorted((Path(__file__).parent / "good").glob("*.yml"))

SETTINGS = re.compile(r"/\.claude[^/]*/settings\.json$|/managed-settings\.d/")

INCOMPLETE = "its weights are not complete, so that show has no files"

DIFFERENT = {
    "distributed": "files that a group distributes are not among those that show prints",
    "local": "no file on a machine has its address, if everything listens on 127.0.0.1",
    "moved-in": "a price among the parameters of a model becomes its price",
    "nodes": "an engine on several hosts is started by a program, from a file that is not read",
    "own-modules": "modules are not among the files that show prints",
    "rings": "the file of the load balancer is not read, which has the rings",
}
"""The fleets that are not the same again, and why. They can be imported all the same."""


def shown(path: Path) -> dict[str, str]:
    """Return what `mirrorfleet show` prints, by the header of each file."""
    planned = fleet.plan(fleet.load(path))
    return {
        f"{name}: {file}": text
        for name, plan in planned.hosts.items()
        for file, text in files(plan)
    }


def compared(texts: dict[str, str]) -> dict[str, Any]:
    """Return what must be the same: a gateway and the clients' settings, else engines' units."""
    configs = [gateway(text) for name, text in texts.items() if name.endswith("/config.yaml")]
    settings = {name: json.loads(text) for name, text in texts.items() if SETTINGS.search(name)}
    # The order of an engine's options is free.
    units = {n: sorted(text.split()) for n, text in texts.items() if n.endswith(".service")}
    clients = [json.loads(text) for name, text in texts.items() if name.endswith("/clients.json")]
    assert configs or settings or units
    if configs or settings:
        return {"gateway": configs[:1], "settings": settings, "clients": clients[:1]}
    return {"units": units}


def gateway(text: str) -> dict[str, Any]:
    """Return the configuration of a gateway, without the names of its secrets."""
    config: dict[str, Any] = yaml.safe_load(re.sub(r"os\.environ/\w+", "os.environ/SECRET", text))
    for entry in config["model_list"]:
        information = entry["model_info"]
        if re.fullmatch("[0-9a-f]{12}|MODEL", information.get("mirrorfleet_weights", "")):
            # The digest of a Modelfile or of a pushed store: no host has the file.
            del information["mirrorfleet_weights"]
        for name in [name for name in information if "cost" in name]:
            # A fleet file has plain digits: the last bit of a price per hour can differ.
            information[name] = float(f"{information[name]:.12g}")
    config["model_list"].sort(key=lambda each: (each["model_name"], str(each["litellm_params"])))
    return config


@pytest.mark.slow
@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_fleet_is_the_same_after_show_and_import(path: Path, tmp_path: Path) -> None:
    if path.stem == "crowded":
        pytest.skip(INCOMPLETE)
    before = shown(path)
    bundle = "".join(f"==> {name} <==\n{text}" for name, text in before.items())
    target = tmp_path / "fleet.yml"
    result = importing.run(["-"], name="again", target=target, standard_input=bundle)
    assert not mistakes(result.data, target)
    target.write_text(result.text, "utf-8")
    same = compared(shown(target)) == compared(before)
    assert same == (path.stem not in DIFFERENT), DIFFERENT.get(path.stem, "no longer the same")
