"""Downloads of archives with a known SHA-256, by the controller."""

from __future__ import annotations

import re
import shutil
from hashlib import file_digest
from pathlib import Path

from pyinfra import logger
from pyinfra.api.exceptions import DeployError

from mirrorfleet.runtime.cache import cached

SILENCE = 60
"""Seconds without a byte after which a download counts as broken."""


def download(what: str, url: str, sha256: str, name: str) -> Path:
    """Return the cached file ``name``, downloaded from ``url`` if it is missing.

    ``what`` names it in messages. Raises ``DeployError`` if it cannot be downloaded, or is another.
    """

    place = re.sub(r"//[^/@]*@", "//", url)  # without a password

    def make(path: Path) -> None:
        logger.info(f"--> Downloading {what}, once")
        # Libraries of HTTP, for downloads only.
        from http.client import HTTPException
        from urllib.request import urlopen

        try:
            with urlopen(url, timeout=SILENCE) as answer, path.open("wb") as file:
                shutil.copyfileobj(answer, file, 1024**2)
        except (OSError, ValueError, HTTPException) as error:
            raise DeployError(f"{what} cannot be downloaded from {place}: {error}") from None
        with path.open("rb") as file:
            found = file_digest(file, "sha256").hexdigest()
        if found != sha256:
            raise DeployError(
                f"{place} is not the expected release: its sha256 is {found}, not {sha256}."
            )

    return cached(name, make)
