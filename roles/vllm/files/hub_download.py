"""Fetch a model's files from a hub into the working directory, each whole and as the hub has it.

Runs on the host as the engine's user, with the engine's own environment:

    hub_download.py <wanted.json

What an earlier run has fetched is kept, down to the byte; nothing counts before its digest is
right. The digests are left behind in .mirrorfleet/sha256, in the words of sha256sum.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from hashlib import sha1, sha256
from pathlib import Path
from typing import Any

AT_ONCE = 8
"""Files that are fetched at a time: one connection does not fill a fast line."""

TRIES = 5
"""How often a file is begun again after the hub broke off; the client itself tries as often."""

TOLD = 5
"""Seconds between two lines of progress."""

FULL = (errno.ENOSPC, errno.EDQUOT)

ROOM = 64 * 1024**2
"""Bytes that must stay free."""

UNUSED = (".bin", ".pt", ".pth", ".h5", ".msgpack", ".onnx", ".ot", ".gguf", ".tflite")
"""Other forms of the same weights, which nobody loads where there are safetensors."""

Wanted = dict[str, Any]


class Failure(Exception):
    """What is wrong and what to do; the text goes to the person at the terminal."""


def surroundings(wanted: Wanted) -> None:
    """Set what the hub's client reads when it is imported."""
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HOME"] = str(Path(".cache").absolute())
    # With a company's own authorities, which the client's list does not know.
    if Path("/etc/ssl/certs/ca-certificates.crt").exists():
        os.environ.setdefault("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
    if wanted["proxy"]:
        os.environ["HTTP_PROXY"] = os.environ["HTTPS_PROXY"] = wanted["proxy"]


class Hub:
    """One revision of one repository."""

    def __init__(self, wanted: Wanted) -> None:
        from huggingface_hub import HfApi

        self.repository, self.revision = wanted["repository"], wanted["revision"]
        self.url, self.token = wanted["url"], wanted["token"] or False
        self.api = HfApi(endpoint=self.url, token=self.token)

    def files(self) -> list[Any]:
        """Return the files that the engine may need, as the hub tells of them."""
        tree = self.api.list_repo_tree(self.repository, recursive=True, revision=self.revision)
        there = [each for each in tree if hasattr(each, "size") and not _is_hidden(each.path)]
        if any(each.path.endswith(".safetensors") and "/" not in each.path for each in there):
            return [
                each
                for each in there
                if not each.path.endswith(UNUSED) and not each.path.startswith("original/")
            ]
        return there

    def fetch(self, name: str, size: int) -> None:
        """Fetch a file, or what is missing at its end."""
        from huggingface_hub import hf_hub_url
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

        # Not compressed on the way: it goes on at a byte of the file itself.
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


def have(name: str) -> int:
    return Path(name).stat().st_size if Path(name).exists() else 0


def digests(name: str) -> tuple[str, str]:
    """Return a file's sha256, by which the hub calls large files, and git's, for all others."""
    plain, git = sha256(), sha1(f"blob {have(name)}\0".encode(), usedforsecurity=False)
    with Path(name).open("rb") as file:
        while chunk := file.read(1024**2):
            plain.update(chunk)
            git.update(chunk)
    return plain.hexdigest(), git.hexdigest()


def get(hub: Hub, file: Any) -> str:
    """Fetch a file until it is the one that the hub tells of, and return its sha256."""
    from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError

    wrong = 0
    for broken in range(TRIES):
        try:
            if have(file.path) != file.size:
                hub.fetch(file.path, file.size)
        except OSError as error:
            # What may pass: an address that was given for an hour, a hub that is restarted.
            final = isinstance(error, RepositoryNotFoundError | EntryNotFoundError)
            if final or error.errno in FULL or broken + 1 == TRIES:
                raise
            time.sleep(2**broken)
            continue
        plain, git = digests(file.path)
        if (plain == file.lfs.sha256) if file.lfs else (git == file.blob_id):
            return plain
        # What was there before may have been another's; what comes now is the hub's.
        Path(file.path).unlink()
        wrong += 1
        if wrong == 2:
            break
    raise Failure(
        f"{file.path} comes from {hub.url} with another content than the hub's own list tells. "
        "Run again later, or write another hub.url."
    )


def fetch(hub: Hub, model: str, files: list[Any]) -> dict[str, str]:
    """Fetch all files, tell how far it is, and return their sha256 by name."""
    total = sum(file.size for file in files)
    missing = total - sum(min(have(file.path), file.size) for file in files)
    free = shutil.disk_usage(".").free
    if missing + ROOM > free:
        raise Failure(
            f"{missing / 1e9:.2f} GB are still to be fetched, and the disk of {Path.cwd().parent} "
            f"has {free / 1e9:.2f} GB free. Make room there: deploys/remove_weights.py removes "
            "the weights that nothing uses any more."
        )
    with ThreadPoolExecutor(AT_ONCE) as pool:
        # The largest first, so that none is left to come alone at the end.
        order = sorted(files, key=lambda file: -file.size)
        jobs = {file.path: pool.submit(get, hub, file) for file in order}
        try:
            going = set(jobs.values())
            while going:
                done, going = wait(going, timeout=TOLD)
                for job in done:
                    job.result()
                tell(model, files, total)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return {name: job.result() for name, job in jobs.items()}


def tell(model: str, files: Iterable[Any], total: int) -> None:
    done = sum(have(file.path) for file in files)
    far = f"{done / 1e9:.2f} of {total / 1e9:.2f} GB ({100 * done // max(total, 1)}%)"
    print(f"{model}: {far}", flush=True)


def main(wanted: Wanted) -> None:
    hub = Hub(wanted)
    files = hub.files()
    names = {file.path for file in files}
    shutil.rmtree(".cache", ignore_errors=True)
    for path in sorted(Path().rglob("*"), reverse=True):
        if path.is_file() and str(path) not in names:
            path.unlink()
    found = fetch(hub, wanted["model"], files)
    shutil.rmtree(".cache", ignore_errors=True)
    Path(".mirrorfleet").mkdir(exist_ok=True)
    lines = (f"{found[name]}  {name}\n" for name in sorted(found))
    Path(".mirrorfleet/sha256").write_text("".join(lines), "utf-8")


def reason(error: BaseException, wanted: Wanted) -> str:
    """Say what went wrong, and what to do about it."""
    from huggingface_hub import errors

    repository, url = wanted["repository"], wanted["url"]
    match error:
        case Failure():
            return str(error)
        case errors.GatedRepoError():
            return (
                f"{repository} is given by {url} only to those whom its owner has admitted. Ask "
                "there, and write that account's token as hub.token."
            )
        case errors.RevisionNotFoundError():
            return f"{repository} has no revision {wanted['revision']} at {url}. Correct it."
        case errors.RepositoryNotFoundError():
            return (
                f"{url} knows no {repository}, or shows it only to those with a token. Correct "
                "the weights, or write hub.token."
            )
        case errors.HfHubHTTPError():
            return f"{url} answers {error.response.status_code}: {error.server_message or error}"
        case OSError() if error.errno in FULL:
            return (
                f"the disk of {Path.cwd().parent} is full. Make room; what has arrived stays, and "
                "the next run goes on from there."
            )
        case _:
            said = str(error) or type(error).__name__
            return (
                f"{url} cannot be reached, or breaks off: {said}. What has arrived stays. Write a "
                "hub.proxy or the hub.url of a mirror, push the weights, or run again."
            )


if __name__ == "__main__":
    said = json.load(sys.stdin)
    surroundings(said)
    try:
        main(said)
    except Exception as error:
        print(f"{said['model']}: {reason(error, said)}", file=sys.stderr, flush=True)
        os._exit(1)  # threads that wait for a hub that has gone silent are not waited for
