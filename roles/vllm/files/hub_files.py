"""Files of a repository on a hub: their list, their digests, and the download of one of them.

A part of hub_download.py.
"""

from __future__ import annotations

import errno
import os
import time
from hashlib import sha1, sha256
from pathlib import Path
from typing import Any

TRIES = 5
"""Attempts per file after a broken connection; the hub's client makes as many itself."""

FULL = (errno.ENOSPC, errno.EDQUOT)

UNUSED = (".bin", ".pt", ".pth", ".h5", ".msgpack", ".onnx", ".ot", ".gguf", ".tflite")
"""Other formats of the same weights, which vLLM ignores if there are safetensors."""

Job = dict[str, Any]
"""What to download: the model's name, repository, revision; the hub's url, token, proxy."""


class Failure(Exception):
    """A failure with its remedy, for the operator."""


def set_environment(job: Job) -> None:
    """Set the environment variables that the hub's client reads at its import."""
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HOME"] = str(Path(".cache").absolute())
    # The host's certificate authorities, which may include a company's own.
    if Path("/etc/ssl/certs/ca-certificates.crt").exists():
        os.environ.setdefault("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
    if job["proxy"]:
        os.environ["HTTP_PROXY"] = os.environ["HTTPS_PROXY"] = job["proxy"]


class Hub:
    """One revision of a repository on a hub."""

    def __init__(self, job: Job) -> None:
        from huggingface_hub import HfApi

        self.repository, self.revision = job["repository"], job["revision"]
        self.url, self.token = job["url"], job["token"] or False
        self.api = HfApi(endpoint=self.url, token=self.token)

    def files(self) -> list[Any]:
        """Return the hub's list of the files that the engine may need."""
        tree = self.api.list_repo_tree(self.repository, recursive=True, revision=self.revision)
        files = [entry for entry in tree if hasattr(entry, "size") and not _is_hidden(entry.path)]
        if any(file.path.endswith(".safetensors") and "/" not in file.path for file in files):
            return [
                file
                for file in files
                if not file.path.endswith(UNUSED) and not file.path.startswith("original/")
            ]
        return files

    def fetch(self, name: str, size: int) -> None:
        """Download a file, or the missing part at its end."""
        from huggingface_hub import hf_hub_url
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

        # Without compression, so that an offset is one of the file itself.
        headers = {**build_hf_headers(token=self.token), "Accept-Encoding": "identity"}
        url = hf_hub_url(self.repository, name, revision=self.revision, endpoint=self.url)
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        with Path(name).open("ab") as file:
            if file.tell() > size:
                file.truncate(0)
            http_get(
                url,
                file,
                resume_size=file.tell(),
                headers=headers,
                expected_size=size,
            )


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def local_size(name: str) -> int:
    """Return the size of a local file in bytes; 0 if it does not exist."""
    return Path(name).stat().st_size if Path(name).exists() else 0


def digests(name: str) -> tuple[str, str]:
    """Return a file's SHA-256, which the hub lists for large files, and its git hash."""
    plain, git = sha256(), sha1(f"blob {local_size(name)}\0".encode(), usedforsecurity=False)
    with Path(name).open("rb") as file:
        while chunk := file.read(1024**2):
            plain.update(chunk)
            git.update(chunk)
    return plain.hexdigest(), git.hexdigest()


def matching(file: Any) -> str:
    """Return the SHA-256 of a local file, "" unless its content is that of the hub's list."""
    plain, git = digests(file.path)
    return plain if (plain == file.lfs.sha256 if file.lfs else git == file.blob_id) else ""


def download(hub: Hub, file: Any) -> str:
    """Download a file until it matches the hub's list, and return its SHA-256."""
    from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError

    wrong = 0
    for broken in range(TRIES):
        try:
            if local_size(file.path) != file.size:
                hub.fetch(file.path, file.size)
        except OSError as error:
            # May be temporary: a URL that expires after an hour, a hub that restarts.
            final = isinstance(error, RepositoryNotFoundError | EntryNotFoundError)
            if final or error.errno in FULL or broken + 1 == TRIES:
                raise
            time.sleep(2**broken)
            continue
        if plain := matching(file):
            return plain
        # The old part of the file may be of another origin; a new download is the hub's.
        Path(file.path).unlink()
        wrong += 1
        if wrong == 2:
            break
    raise Failure(
        f"{file.path} from {hub.url} does not match the digest in the hub's own list. "
        "Run again later, or set another hub.url."
    )


def reason(error: BaseException, job: Job) -> str:
    """Return what went wrong, and the remedy."""
    from huggingface_hub import errors

    repository, url = job["repository"], job["url"]
    match error:
        case Failure():
            return str(error)
        case errors.GatedRepoError():
            return (
                f"{repository} at {url} is gated: request access there, and set hub.token to a "
                "token of that account."
            )
        case errors.RevisionNotFoundError():
            return f"{repository} at {url} has no revision {job['revision']}: correct the revision."
        case errors.RepositoryNotFoundError():
            return (
                f"{url} has no {repository}, or shows it only with a token. Correct the weights, "
                "or set hub.token."
            )
        case errors.HfHubHTTPError():
            return f"{url} answers {error.response.status_code}: {error.server_message or error}"
        case OSError() if error.errno in FULL:
            return (
                f"the disk of {Path.cwd().parent} is full. Make room there; the next run continues "
                "the download."
            )
        case _:
            cause = str(error) or type(error).__name__
            return (
                f"{url} cannot be reached, or the connection breaks: {cause}. Set hub.proxy, or "
                "hub.url to a mirror, push the weights, or run again: the download continues."
            )
