"""The meaning of a fleet file: what fits the schema and still cannot work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from packaging.version import Version

from fleet.data import table
from fleet.document import Key
from fleet.problems import Problem, did_you_mean
from fleet.spec import Fleet, ProviderModel, VllmModel


def problems(fleet: Fleet) -> Iterator[Problem]:
    """Yield every contradiction in a fleet whose shape is right."""
    yield from _names(fleet)
    yield from _hosts(fleet)
    for model in fleet.models.values():
        yield from _model(fleet, model)
    yield from _gateway(fleet)
    yield from _aliases(fleet)
    yield from _fallbacks(fleet)
    yield from _developers(fleet)


def _names(fleet: Fleet) -> Iterator[Problem]:
    """Names that point at nothing."""
    hosts, models = fleet.hosts, fleet.models
    answers = {*models, *fleet.aliases}
    uses: list[tuple[Key, str, Iterable[str], str]] = []
    for name, model in models.items():
        if isinstance(model, VllmModel):
            uses += _each(("models", name, "hosts"), model.hosts, hosts, "host")
    if fleet.gateway:
        uses += _each(("gateway", "hosts"), fleet.gateway.hosts, hosts, "host")
    for name, target in fleet.aliases.items():
        uses.append((("aliases", name), target, answers, "model or alias"))
    for name, targets in fleet.fallbacks.items():
        uses.append((("fallbacks", name), name, models, "model"))
        uses += _each(("fallbacks", name), targets, models, "model")
    for name, group in fleet.developers.items():
        uses += _each(("developers", name, "hosts"), group.hosts, hosts, "host")
        uses.append((("developers", name, "model"), group.model, answers, "model or alias"))
    for key, used, known, kind in uses:
        if used not in known:
            yield fleet.document.problem(
                key,
                f"names the {kind} '{used}', which is not in this file.",
                did_you_mean(used, known),
            )


def _each(
    key: Key, names: Iterable[str], known: Iterable[str], kind: str
) -> list[tuple[Key, str, Iterable[str], str]]:
    return [((*key, index), name, known, kind) for index, name in enumerate(names)]


def _hosts(fleet: Fleet) -> Iterator[Problem]:
    taken: dict[tuple[str, int | None], str] = {}
    for host in fleet.hosts.values():
        at = (host.address, host.port)
        if at in taken:
            yield fleet.document.problem(
                ("hosts", host.name, "address"),
                f"is {host.address}, the address of '{taken[at]}'.",
                "One machine is one entry; a host can serve several models and roles.",
            )
        taken.setdefault(at, host.name)

    ports: dict[tuple[str, int], str] = {}
    listeners: list[tuple[Key, tuple[str, ...], int]] = [
        (("models", name), model.hosts, model.port)
        for name, model in fleet.models.items()
        if isinstance(model, VllmModel)
    ]
    if fleet.gateway:
        listeners.append((("gateway",), fleet.gateway.hosts, fleet.gateway.port))
    for key, names, port in listeners:
        for name in names:
            if (name, port) in ports:
                yield fleet.document.problem(
                    (*key, "port"),
                    f"is {port} on host '{name}', where {ports[name, port]} listens already.",
                    f"Write another port, for example {port + 1}.",
                )
            ports.setdefault((name, port), key[-1] if isinstance(key[-1], str) else "")


def _model(fleet: Fleet, model: VllmModel | ProviderModel) -> Iterator[Problem]:
    key: Key = ("models", model.name)
    twins = [name for name in fleet.models if _plain(name) == _plain(model.name)]
    if twins[0] != model.name:
        yield fleet.document.problem(
            key, f"differs from '{twins[0]}' in punctuation only.", "Rename one of the two."
        )
    if model.output >= model.context:
        yield fleet.document.problem(
            (*key, "output"),
            f"is {model.output}, not below the context of {model.context}: no room for a prompt.",
            f"Write {model.context // 8} or less.",
        )
    if isinstance(model, ProviderModel):
        return
    yield from _advisories(fleet, (*key, "version"), "vllm", model.version)
    families = table("families")
    if model.family not in families:
        yield fleet.document.problem(
            (*key, "family"),
            f"'{model.family}' has no known tool parser.",
            did_you_mean(model.family, families),
        )
    if model.weights.kind == "hub" and not model.weights.revision:
        yield fleet.document.problem(
            (*key, "weights"),
            "comes from a repository without a 'revision'.",
            "Write the 40-digit commit: what a branch holds changes under you.",
        )
    if model.weights.kind != "hub" and "revision" in fleet.document.data["models"][model.name]:
        yield fleet.document.problem(
            (*key, "revision"),
            "says nothing about weights that come from a directory.",
            "Remove it.",
        )
    if model.build == "cpu":
        if model.tensor_parallel > 1:
            yield fleet.document.problem(
                (*key, "tensor_parallel"), "needs GPUs, and the build is cpu.", "Remove it."
            )
        return
    for name in model.hosts:
        host = fleet.hosts.get(name)
        if host and host.gpus < model.tensor_parallel:
            yield fleet.document.problem(
                (*key, "tensor_parallel"),
                f"is {model.tensor_parallel}, and host '{name}' has {host.gpus} GPUs.",
                f"Correct hosts.{name}.gpus or choose another host.",
            )


def _plain(name: str) -> str:
    """A model's name as its secrets' environment variables spell it."""
    return name.replace(".", "-")


def _advisories(fleet: Fleet, key: Key, package: str, version: str) -> Iterator[Problem]:
    found = Version(version)
    hits = [
        advisory
        for advisory in table("advisories")[package]
        if version in advisory.get("only", ())
        or ("below" in advisory and found < Version(advisory["below"]))
    ]
    if not hits:
        return
    fixes = [advisory["below"] for advisory in table("advisories")[package] if "below" in advisory]
    reasons = "; ".join(f"{hit['id']} ({hit['what']})" for hit in hits)
    yield fleet.document.problem(
        key,
        f"{package} {version} must not be installed: {reasons}.",
        f"Write {max(fixes, key=Version)} or newer.",
    )


def _gateway(fleet: Fleet) -> Iterator[Problem]:
    gateway = fleet.gateway
    if gateway is None:
        if fleet.developers:
            yield fleet.document.problem(
                ("developers",), "have no gateway to talk to.", "Add a 'gateway' section."
            )
        return
    if not fleet.models:
        yield fleet.document.problem(("gateway",), "has no model to route to.", "Add 'models'.")
    yield from _advisories(fleet, ("gateway", "version"), "litellm", gateway.version)
    if gateway.workers == 1 and gateway.max_requests_before_restart:
        yield fleet.document.problem(
            ("gateway", "max_requests_before_restart"),
            "would stop the whole gateway each time: its only worker is the server.",
            "Write workers: 2 or more, or auto.",
        )
    if len(gateway.hosts) > 1 and not gateway.url:
        yield fleet.document.problem(
            ("gateway",),
            f"has {len(gateway.hosts)} hosts and no 'url'.",
            "Write the address of the load balancer in front of them, or of one of them.",
        )


def _aliases(fleet: Fleet) -> Iterator[Problem]:
    for name in fleet.aliases:
        if name in fleet.models:
            yield fleet.document.problem(
                ("aliases", name), "is a model's name as well.", "Rename one of the two."
            )
        seen, at = {name}, name
        while at in fleet.aliases:
            at = fleet.aliases[at]
            if at in seen:
                yield fleet.document.problem(
                    ("aliases", name), "leads back to itself.", "Point it at a model."
                )
                break
            seen.add(at)


def _fallbacks(fleet: Fleet) -> Iterator[Problem]:
    for name, targets in fleet.fallbacks.items():
        if name in targets:
            yield fleet.document.problem(
                ("fallbacks", name, targets.index(name)),
                "falls back to itself.",
                "Name another model, or remove it.",
            )


def _developers(fleet: Fleet) -> Iterator[Problem]:
    seats = Counter(
        (host, user)
        for group in fleet.developers.values()
        for host in group.hosts
        for user in group.users
    )
    for group in fleet.developers.values():
        for index, user in enumerate(group.users):
            twice = [host for host in group.hosts if seats[host, user] > 1]
            if twice:
                yield fleet.document.problem(
                    ("developers", group.name, "users", index),
                    f"'{user}' is in two groups on host '{twice[0]}'.",
                    "A user's settings come from one group.",
                )
    versions: dict[str, tuple[str, str]] = {}
    for group in fleet.developers.values():
        for host in group.hosts:
            other, version = versions.setdefault(host, (group.name, group.version))
            if version != group.version:
                yield fleet.document.problem(
                    ("developers", group.name, "version"),
                    f"is {group.version}, and '{other}' wants {version} on host '{host}'.",
                    "One host has one client version.",
                )
