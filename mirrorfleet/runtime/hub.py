"""Small files of a repository on a model hub, and the sizes of its weights.

The controller asks for these with the requests that huggingface_hub makes on hosts, which may not
be installed here: /OWNER/NAME/resolve/REVISION/FILE and /api/models/OWNER/NAME/tree/REVISION.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPMessage
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

LARGEST = 64 * 1024**2
"""Most bytes of a file: the index of a model with many experts has a few MB."""

SILENCE = 60
"""Seconds without a byte after which a request counts as failed."""


class HubError(Exception):
    """A failure with its remedy.

    ``is_missing``: the repository has no such file. ``is_unknown``: there is no such repository,
    as far as the hub shows.
    """

    def __init__(self, message: str, *, is_missing: bool = False, is_unknown: bool = False) -> None:
        super().__init__(message)
        self.is_missing = is_missing
        self.is_unknown = is_unknown


@dataclass(frozen=True)
class File:
    """A file of a repository; ``commit`` is the revision that the hub found, or ""."""

    content: bytes
    commit: str


@dataclass(frozen=True)
class Repository:
    """A repository on a hub at one revision: a commit or a branch."""

    url: str
    name: str
    revision: str
    token: str | None = field(default=None, repr=False)
    proxy: str | None = None

    def file(self, name: str) -> File:
        """Return a small file. Raises ``HubError``."""
        path = f"/{quote(self.name)}/resolve/{quote(self.revision, safe='')}/{quote(name)}"
        return self._get(path, f"{name} of {self.name}")

    def weights_bytes(self) -> int:
        """Return the bytes of the safetensors at the top of the repository. Raises ``HubError``."""
        path = f"/api/models/{quote(self.name)}/tree/{quote(self.revision, safe='')}"
        try:
            entries = json.loads(self._get(path, f"the files of {self.name}").content)
            return sum(
                int(entry["size"])
                for entry in entries
                if entry["type"] == "file" and str(entry["path"]).endswith(".safetensors")
            )
        except (ValueError, KeyError, TypeError):
            raise HubError(
                f"{self.url} sent no list of the files of {self.name}. Set hub.url to a hub or a "
                "mirror with the same API."
            ) from None

    def _get(self, path: str, what: str) -> File:
        proxies = {"http": self.proxy, "https": self.proxy} if self.proxy else None
        redirect = _Redirect()
        opener = build_opener(ProxyHandler(proxies), redirect)
        request = Request(self.url + path, headers={"User-Agent": "mirrorfleet"})
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with opener.open(request, timeout=SILENCE) as answer:
                content = answer.read(LARGEST + 1)
                commit = answer.headers.get("X-Repo-Commit") or redirect.commit
        except HTTPError as error:
            raise self._refused(error, what) from None
        except (URLError, OSError, HTTPException, ValueError) as error:
            cause = getattr(error, "reason", None) or error
            raise HubError(
                f"{self.url} cannot be reached: {cause}. Set hub.url to a mirror, set hub.proxy, "
                "or give the path of a folder with config.json."
            ) from None
        if len(content) > LARGEST:
            raise HubError(f"{what} is larger than {LARGEST // 1024**2} MiB.")
        return File(content, commit)

    def _refused(self, error: HTTPError, what: str) -> HubError:
        code = error.headers.get("X-Error-Code")
        if code == "EntryNotFound":
            return HubError(f"{self.name} has no such file: {what}.", is_missing=True)
        if code == "GatedRepo":
            return HubError(
                f"{self.name} at {self.url} is gated: request access there, and set hub.token to a "
                "token of that account."
            )
        if code == "RevisionNotFound":
            return HubError(
                f"{self.name} at {self.url} has no revision {self.revision}: correct the revision."
            )
        if code == "RepoNotFound" or error.code in (401, 403, 404):
            return HubError(
                f"{self.url} has no {self.name}, or shows it only with a token. Correct the name, "
                "or set hub.token.",
                is_unknown=True,
            )
        return HubError(f"{self.url} answers {error.code} for {what}. Try again later.")


class _Redirect(HTTPRedirectHandler):
    """Follow redirects, but send the token to the hub's own address only.

    ``commit`` is the revision that a redirect names, or "".
    """

    commit = ""

    def redirect_request(
        self,
        req: Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> Request | None:
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is not None:
            old, new = urlsplit(req.full_url), urlsplit(newurl)
            if (old.scheme, old.netloc) != (new.scheme, new.netloc):
                following.remove_header("Authorization")
        self.commit = headers.get("X-Repo-Commit") or self.commit
        return following
