"""The known names of LiteLLM are those of the locked release."""

from __future__ import annotations

import json
import subprocess

import yaml

from mirrorfleet.config.schema import SCHEMA
from mirrorfleet.data import price_list, table
from mirrorfleet.locking import litellm_models
from mirrorfleet.locking.litellm_environment import PROGRAM
from tests.litellm.environment import LOCK, environment


def test_the_names_are_those_of_the_locked_release() -> None:
    output = subprocess.run(
        [environment() / "bin/python", PROGRAM],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=600,
    )
    assert yaml.load(output.stdout, yaml.BaseLoader) == table(f"litellm_known/{LOCK.stem}")


def test_windows_and_caps_are_those_of_the_locked_release() -> None:
    [listed] = environment().glob(f"lib/python3*/site-packages/{litellm_models.LIST}")
    made = litellm_models.text(litellm_models.models(json.loads(listed.read_text("utf-8"))))
    assert made == (price_list.DATA / f"{LOCK.stem}.json").read_text("utf-8")


def test_the_strategies_of_the_schema_are_known() -> None:
    routing = json.loads(SCHEMA.read_text("utf-8"))["$defs"]["routing"]["properties"]
    assert set(routing["strategy"]["enum"]) <= set(
        table(f"litellm_known/{LOCK.stem}")["routing_strategies"]
    )


def test_names_that_mirrorfleet_sets_are_known() -> None:
    known, derived = table(f"litellm_known/{LOCK.stem}"), table("litellm_derived")
    # LiteLLM takes any name in model_info.
    for section in derived.keys() - {"environment", "model_info"}:
        unknown = derived[section].keys() - set(known[section])
        assert unknown <= {"telemetry"}, section
