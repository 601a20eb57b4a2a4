"""Download advisories from OSV (https://osv.dev) into the project's folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from mirrorfleet.config.advisories import Package, parse

URL = "https://api.osv.dev"
"""OSV's public API. It needs no key, and learns the names of packages, not of fleets."""

TIMEOUT = 30
"""Seconds for one answer."""

BATCH = 500
"""Packages in one request; the API takes up to 1000."""


class RefreshError(Exception):
    """Advisories could not be downloaded; the folder is as before."""


def refresh(folder: Path, packages: Iterable[Package], url: str = URL) -> int:
    """Write the advisories about packages into a folder, and return their number.

    Files of advisories that OSV withdrew are removed; others stay. Raises ``RefreshError``.
    """
    requested = sorted(set(packages))
    try:
        ids = dict.fromkeys(_ids(url, requested))
        documents = [_get(f"{url}/v1/vulns/{name}") for name in ids]
        for document in documents:
            list(parse(document))  # before anything is written
    except (OSError, ValueError, KeyError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise RefreshError(f"{url}: {reason}") from None
    folder.mkdir(exist_ok=True)
    for document in documents:
        path = folder / f"{document['id']}.json"
        if document.get("withdrawn"):
            path.unlink(missing_ok=True)
        else:
            new = path.with_suffix(".new")
            new.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
            new.replace(path)
    return len(documents)


def _ids(url: str, packages: list[Package]) -> Iterator[str]:
    """Yield the ids of all advisories about packages. Ids become names of files: others fail."""
    for start in range(0, len(packages), BATCH):
        queries = [{"package": _asked(package)} for package in packages[start : start + BATCH]]
        waiting: list[dict[str, Any]] = queries
        while waiting:
            answer = _post(f"{url}/v1/querybatch", {"queries": waiting})
            following = []
            for query, result in zip(waiting, answer["results"], strict=True):
                for known in result.get("vulns", ()):
                    if not known["id"].replace("-", "").isalnum():
                        raise ValueError(f"{known['id']!r} is not the id of an advisory")
                    yield known["id"]
                if token := result.get("next_page_token"):
                    following.append({**query, "page_token": token})
            waiting = following


def _asked(package: Package) -> dict[str, str]:
    return {"ecosystem": package.ecosystem, "name": package.name}


def _post(url: str, body: Any) -> Any:
    return _answer(Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"}))


def _get(url: str) -> Any:
    return _answer(Request(url))


def _answer(request: Request) -> Any:
    with urlopen(request, timeout=TIMEOUT) as answer:
        return json.load(answer)
