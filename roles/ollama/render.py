"""Pure: from the plan of a host's Ollama to its unit and environment."""

from __future__ import annotations

from pathlib import Path

from mirrorfleet.planning import http, origin
from mirrorfleet.planning.ollama import OllamaPlan
from mirrorfleet.roles.ollama import models
from mirrorfleet.roles.ollama.release import RELEASES
from mirrorfleet.roles.proof.canary import hooks, target
from mirrorfleet.runtime.canary import Canary
from mirrorfleet.runtime.paths import ROOT, STATE
from mirrorfleet.runtime.service import Installed, Service
from mirrorfleet.runtime.text import template

NAME = "ollama"
USER = "mirrorfleet-ollama"
HOME = f"{STATE}/{NAME}"
TEMPLATES = Path(__file__).parent / "templates"

ELSEWHERE = f"{HOME}/elsewhere"
"""A link to the models, if the fleet file sets their directory. When the host is decommissioned, it
shows that the system user still owns files, also after the fleet file has changed."""

START = 1200
"""Seconds in which the present models must answer again."""

CANARY = 600
"""Maximum seconds of the canary, for all models."""


def installed(ollama: OllamaPlan) -> Installed:
    """Return what all generations share."""
    return Installed(
        name=NAME,
        user=USER,
        port=ollama.port,
        software=RELEASES,
        hooks=models.hooks(ollama) + hooks(canary(ollama)),
        seconds=START,
    )


def canary(ollama: OllamaPlan) -> Canary:
    """Return the canary of the models."""
    targets = [
        target(model.model, model.context, tools=model.proof.abilities.tools)
        for model in ollama.models
    ]
    return Canary(
        service=NAME,
        title="Ollama",
        url=origin(ollama.listen),
        port=ollama.port,
        user=USER,
        key="",
        seconds=CANARY,
        targets=targets,
    )


def service(ollama: OllamaPlan, release: str, gpus: str) -> Service:
    """Return the service.

    ``release`` is the directory of its software, ``gpus`` what CUDA sees of the host's GPUs.
    """
    return Service(
        **vars(installed(ollama)),
        unit=template(
            TEMPLATES / "unit.service.j2",
            user=USER,
            directory=f"{ROOT}/{NAME}",
            release=release,
            gpus=bool(ollama.devices),
            writable=None if is_at_home(ollama) else ollama.models_directory,
        ),
        environment=variables(ollama, gpus),
        files={},
    )


def is_at_home(ollama: OllamaPlan) -> bool:
    """Return whether the models are in the service's state directory, which systemd creates."""
    return ollama.models_directory.startswith(f"{HOME}/")


def variables(ollama: OllamaPlan, gpus: str) -> dict[str, str]:
    """Return the environment of the process, which configures Ollama.

    ``gpus`` are the UUIDs of its GPUs with commas between them; "-1" for none.
    """
    optional = {
        "OLLAMA_MAX_LOADED_MODELS": ollama.max_loaded_models,
        "OLLAMA_MAX_QUEUE": ollama.max_queue,
        "OLLAMA_KV_CACHE_TYPE": ollama.kv_cache_type,
    }
    if ollama.flash_attention is not None:
        optional["OLLAMA_FLASH_ATTENTION"] = int(ollama.flash_attention)
    return {
        "HOME": HOME,
        "OLLAMA_HOST": http(ollama.listen, ollama.port).removeprefix("http://"),
        "OLLAMA_MODELS": ollama.models_directory,
        "OLLAMA_CONTEXT_LENGTH": str(ollama.context),
        "OLLAMA_KEEP_ALIVE": ollama.keep_alive,
        "OLLAMA_NUM_PARALLEL": str(ollama.parallel),
        # A model whose name looks local but is a cloud model must not receive prompts.
        "OLLAMA_NO_CLOUD": "1",
        "CUDA_VISIBLE_DEVICES": gpus,
        # Numbers in the journal as nvidia-smi gives them. CUDA's own order begins with the fastest.
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        # Vulkan ignores CUDA_VISIBLE_DEVICES, and would use the GPUs of vLLM.
        "OLLAMA_VULKAN": "0",
        **{name: str(value) for name, value in optional.items() if value is not None},
    }
