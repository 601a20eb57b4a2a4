"""Advisories: which releases they refuse, and where they come from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mirrorfleet import advisory_folders, fleet
from mirrorfleet.config import ollama, vllm
from mirrorfleet.config.advisories import (
    CLAUDE_CODE,
    LITELLM,
    PYPI,
    Package,
    collected,
    parse,
)

BASE = Path(__file__).parent / "bad/base/whole.yml"
KNOWN = advisory_folders.advisories(BASE)
OLLAMA, VLLM = ollama.PACKAGE, vllm.PACKAGE
STARLETTE = Package(PYPI, "starlette")


@pytest.mark.parametrize(
    ("name", "package", "last", "fixed", "source"),
    [
        ("CVE-2026-114612", LITELLM, "1.106.8", "1.106.9", "cve.org"),
        ("CVE-2026-48710", STARLETTE, "1.0.0", "1.0.1", "GHSA-86qp-5c8j-p5mr"),
        ("CVE-2026-34756", VLLM, "0.18.1", "0.19.0", "GHSA-3mwp-wvh9-7528"),
        ("MIRRORFLEET-2026-001", CLAUDE_CODE, "2.1.117", "2.1.118", "claude-code-rce"),
        ("CVE-2026-55607", CLAUDE_CODE, "2.1.162", "2.1.163", "GHSA-7835-87q9-rgvv"),
        ("CVE-2026-7482", OLLAMA, "0.17.0", "0.17.1", "GHSA-x8qc-fggm-mpqg"),
    ],
)
def test_a_release_before_the_fix_is_refused(
    name: str, package: Package, last: str, fixed: str, source: str
) -> None:
    [hit] = [hit for hit in KNOWN.hits(package, last) if hit.advisory.name == name]
    assert hit.refused
    assert hit.fixed == fixed
    assert source in hit.advisory.source
    assert name not in {hit.advisory.name for hit in KNOWN.hits(package, fixed)}


@pytest.mark.parametrize(
    ("name", "package", "version", "source"),
    [
        ("CVE-2026-12772", LITELLM, "1.110.2", "litellm/issues/35541"),
        ("CVE-2026-12795", LITELLM, "1.110.2", "litellm/issues/35541"),
        ("CVE-2026-9540", VLLM, "0.32.0", "GHSA-98f3-hwg4-4rf7"),
        ("CVE-2026-5530", OLLAMA, "0.32.7", "CVE-2026-5530"),
    ],
)
def test_a_release_without_a_fix_is_not_refused_but_known(
    name: str, package: Package, version: str, source: str
) -> None:
    [advisory] = KNOWN.named(name)
    [hit] = [hit for hit in KNOWN.hits(package, version) if hit.advisory is advisory]
    assert not hit.refused
    assert source in advisory.source
    assert advisory.mitigation.endswith(".")


@pytest.mark.parametrize(
    ("version", "hit"),
    [
        ("1.0", False),
        ("1.2", True),
        ("1.4", True),
        ("1.5", False),
        ("2.0rc1", False),
        ("2.0", True),
        ("9", True),
        ("3.0.1", True),
        ("main", False),
    ],
)
def test_ranges_of_osv(version: str, hit: bool) -> None:
    events = [{"introduced": "1.2"}, {"last_affected": "1.4"}, {"introduced": "2.0"}]
    document = {
        "id": "X-1",
        "affected": [
            {
                "package": {"ecosystem": "PyPI", "name": "Some.Thing"},
                "ranges": [
                    {"type": "GIT", "repo": "r", "events": [{"introduced": "0"}]},
                    {"type": "ECOSYSTEM", "events": events},
                ],
                "versions": ["3.0.1"],
            }
        ],
    }
    known = collected(parse(document))
    assert bool(known.hits(Package(PYPI, "some-thing"), version)) is hit


def test_every_shipped_advisory_is_complete() -> None:
    for path in advisory_folders.SHIPPED.glob("*.json"):
        document = json.loads(path.read_text("utf-8"))
        assert path.stem == document["id"]
        [advisory] = parse(document)
        assert advisory.summary
        assert advisory.source.startswith("https://")
        fixed = any(known.fixed for known in advisory.ranges) or advisory.versions
        assert fixed or advisory.mitigation, f"{path.name}: what does a fleet do about it?"


def write(folder: Path, **changes: object) -> None:
    """Write an advisory about LiteLLM 1.106.12 beside a fleet file."""
    events = [{"introduced": "0"}, {"fixed": "1.200.0"}]
    package = {"ecosystem": "PyPI", "name": "litellm"}
    document = {
        "id": "GHSA-aaaa-bbbb-cccc",
        "aliases": ["CVE-2026-1"],
        "summary": "new",
        "affected": [{"package": package, "ranges": [{"type": "ECOSYSTEM", "events": events}]}],
        "references": [{"url": "https://example.org/1"}],
    } | changes
    folder.mkdir(exist_ok=True)
    (folder / "new.json").write_text(json.dumps(document), "utf-8")


@pytest.fixture(name="file")
def copied(tmp_path: Path) -> Path:
    file = tmp_path / "fleet.yml"
    file.write_text(BASE.read_text("utf-8"), "utf-8")
    return file


def test_an_advisory_of_the_project_refuses_a_release(file: Path) -> None:
    write(file.parent / "advisories")
    with pytest.raises(fleet.FleetError) as error:
        fleet.load(file)
    assert "CVE-2026-1 (new; example.org/1). Write 1.200.0 or newer." in str(error.value)


def test_an_accepted_advisory_refuses_nothing(file: Path) -> None:
    write(file.parent / "advisories")
    reason = "accepted_advisories: {CVE-2026-1: only for users of the admin UI}\n"
    file.write_text(file.read_text("utf-8") + reason, "utf-8")
    assert fleet.load(file).accepted == {"CVE-2026-1": "only for users of the admin UI"}


def test_an_unknown_advisory_cannot_be_accepted(file: Path) -> None:
    reason = "accepted_advisories: {CVE-2026-48711: no path is checked here}\n"
    file.write_text(file.read_text("utf-8") + reason, "utf-8")
    with pytest.raises(fleet.FleetError) as error:
        fleet.load(file)
    assert "is not the id of an advisory that is known here. Did you mean 'CVE-2026-48710'?" in str(
        error.value
    )


def test_a_withdrawn_advisory_of_the_project_refuses_nothing(file: Path) -> None:
    write(file.parent / "advisories", withdrawn="2026-11-01T00:00:00Z")
    fleet.load(file)


def test_a_broken_advisory_of_the_project_is_named(file: Path) -> None:
    write(file.parent / "advisories", affected=[{"package": {"name": "litellm"}}])
    with pytest.raises(fleet.FleetError) as error:
        fleet.load(file)
    assert str(error.value).endswith(
        "new.json: is not an advisory in OSV's format: KeyError('ecosystem'). "
        "Remove it, or write it again with `mirrorfleet audit --refresh`."
    )
