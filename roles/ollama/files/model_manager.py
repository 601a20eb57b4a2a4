"""Create and remove the models of an Ollama server as the fleet file says, and test them.

Runs on the host, as root, with the distribution's python3 and its standard library only:

    model_manager.py make|prove|session URL LEDGER <models.json
    model_manager.py give URL/api/blobs/DIGEST FILE     send a file, unless the server has it

LEDGER records the models that this program created: by name, the digest of their recipe, the
server's digest of their content, their tag, their window, what a session expects of them, and its
record. It never removes another model.
pulled.json beside it records the tags that this program has brought: deploys/remove_weights.py
removes no other ones.

``make`` asks each new model a session of Claude Code (roles/proof). ``session`` asks all models of
a new server one, and ``prove`` a turn only.

The shell passes this program to Python as text, with its modules: `roles/ollama/models.py`.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from http.client import HTTPException

from mirrorfleet.roles.ollama.files.model_ledger import Ledger, beside, read, replace, write
from mirrorfleet.roles.ollama.files.model_proof import compare_abilities, prove
from mirrorfleet.roles.ollama.files.ollama_server import (
    LOADING,
    Failure,
    Model,
    Server,
    full,
    give,
    report,
)
from mirrorfleet.roles.ollama.files.pushed_store import adopt, is_leftover
from mirrorfleet.roles.proof.files.api import Api, NotReady
from mirrorfleet.roles.proof.files.outcome import failures, lines, record
from mirrorfleet.roles.proof.files.session import Session

CANDIDATE = "mirrorfleet/"
"""The namespace of a new model, until it has passed its test and gets its own name."""

NEVER = 78
"""Exit status if waiting does not help. While the server starts, it is 1."""

INTERVAL = 5
"""Seconds between two lines of progress."""

REMEDIES = {
    "file does not exist": "The registry does not have this tag: correct the weights.",
    "server gave HTTP response to HTTPS client": "The registry speaks plain HTTP: write "
    "plain_http: true, and the digest of the tag.",
    "certificate": "Install the certificate of the registry's CA on this host, and run "
    "update-ca-certificates.",
    "realm host": "Ollama takes a token from the registry's own host only: let it answer this host "
    "without one, or push the weights from the controller.",
    "unauthorized": "Ollama sends no password to a registry: let it answer this host without one, "
    "or push the weights from the controller.",
}
"""The fixes for messages of a failed pull."""


def make(server: Server, desired: list[Model], path: str) -> None:
    """Create missing and changed models, and remove those that are no longer desired.

    A model serves until its replacement has passed its test.
    """
    ledger, present = read(path), server.digests()
    for leftover in (name for name in present if name.startswith(CANDIDATE) or is_leftover(name)):
        server.remove(leftover)
    for model in desired:
        name = model["name"]
        if is_made(model, ledger, present):
            continue
        if "from" in model["body"] and not has_digest(model, present.get(full(model["tag"]))):
            bring(server, model)
            replace(beside(path), {**read(beside(path)), full(model["tag"]): {}})
            check_digest(model, server.digests().get(full(model["tag"])))
        proved = create(server, model, names_of_weights(model["tag"], desired, ledger))
        present = server.digests()
        ledger[name] = {
            "recipe": model["recipe"],
            "digest": present[full(name)],
            "tag": model["tag"],
            "context": model["context"],
            "session": model["session"],
            "proof": proved,
        }
        write(path, ledger)
    for name in ledger.keys() - {model["name"] for model in desired}:
        if full(name) in present:
            server.remove(name)
        tag = ledger.pop(name).get("tag", "")
        report(name, removed(tag, ledger, read(beside(path))))
        write(path, ledger)


def removed(tag: str, ledger: Ledger, pulled: Ledger) -> str:
    """Return the message about a removed model: what of it still takes room, and until when."""
    if tag.startswith("sha256:"):
        return "removed; its uploaded file goes at a later start, or with deploys/remove_weights.py"
    if any(entry.get("tag") == tag for entry in ledger.values()):
        return f"removed; another model uses its weights, {tag}"
    if full(tag) in pulled:
        return f"removed; its weights, {tag}, stay until you run deploys/remove_weights.py"
    return f"removed; its weights, {tag}, stay, because no run has pulled them"


def is_made(model: Model, ledger: Ledger, present: dict[str, str]) -> bool:
    """Return whether a model was created by its current recipe, and is unchanged."""
    entry = ledger.get(model["name"], {})
    return entry.get("recipe") == model["recipe"] and is_unchanged(model["name"], ledger, present)


def is_unchanged(name: str, ledger: Ledger, present: dict[str, str]) -> bool:
    """Return whether the server still has the model that this program created."""
    return name in ledger and present.get(full(name)) == ledger[name].get("digest")


def bring(server: Server, model: Model) -> None:
    """Bring the tag of a model to the server: from the controller, or from a registry."""
    if model["manifest"]:
        report(model["name"], f"{model['tag']}: from the uploaded files")
        adopt(server, model["name"], model["tag"], model["manifest"])
    else:
        pull(server, model["name"], model["tag"], plain_http=model["plain_http"])


def pull(server: Server, name: str, tag: str, *, plain_http: bool) -> None:
    """Pull a tag, and print the progress every few seconds."""
    sizes: dict[str, tuple[int, int]] = {}
    reported, at = "", 0.0
    # `insecure` makes Ollama use plain HTTP for every request to the registry, never another TLS.
    body = {"model": tag, "insecure": True} if plain_http else {"model": tag}
    try:
        for event in server.stream("/api/pull", body):
            status, text = event.get("status", ""), ""
            if event.get("total"):
                sizes[event["digest"]] = (event.get("completed", 0), event["total"])
                text = progress(sizes)
            if status != reported or time.monotonic() - at >= INTERVAL:
                report(f"weights {name}" if text else name, text or f"{tag}: {status}")
                reported, at = status, time.monotonic()
    except Failure as failure:
        remedy = "Check that this host reaches the registry, and that its disk has free space."
        known = (fix for words, fix in REMEDIES.items() if words in str(failure))
        raise Failure(f"{name}: {tag} cannot be pulled: {failure}. {next(known, remedy)}") from None


def progress(sizes: dict[str, tuple[int, int]]) -> str:
    """Return the progress of all layers that the server has reported."""
    done, total = (sum(size[at] for size in sizes.values()) for at in (0, 1))
    return f"{done / 1e9:.2f} of {total / 1e9:.2f} GB ({100 * done // total}%)"


def has_digest(model: Model, digest: str | None) -> bool:
    """Return whether a pulled tag has the configured digest; without one, any digest is right."""
    return digest is not None and model["digest"] in (None, digest.removeprefix("sha256:"))


def check_digest(model: Model, digest: str | None) -> None:
    """Check the digest of a pulled tag. Raises ``Failure``."""
    if has_digest(model, digest):
        return
    if model["manifest"]:
        raise Failure(
            f"{model['name']}: Ollama has {model['tag']} with the digest {digest}, not "
            f"{model['digest']} as uploaded. Choose another version of Ollama."
        )
    raise Failure(
        f"{model['name']}: the digest of {model['tag']} is {digest}, but the fleet file has "
        f"{model['digest']}: the tag has moved. Review the change, then set the new digest."
    )


def names_of_weights(tag: str, desired: list[Model], ledger: Ledger) -> set[str]:
    """Return all names that the server may report for the loaded weights of a tag.

    It loads weights once for all models with the same window, and reports the name of the model
    that was requested first.
    """
    made = {name for name, entry in ledger.items() if entry.get("tag") == tag}
    made.update(model["name"] for model in desired if model["tag"] == tag)
    return {full(name) for name in (tag, *made, *(CANDIDATE + name for name in made))}


def create(server: Server, model: Model, names: set[str]) -> Model:
    """Create a model under another name, test it, then give it its own name; return its proof.

    Raises ``Failure``.
    """
    report(model["name"], f"created from {model['source']}, window {model['context']}")
    name, candidate = model["name"], CANDIDATE + model["name"]
    try:
        for _ in server.stream("/api/create", {**model["body"], "model": candidate}):
            pass
    except Failure as failure:
        raise Failure(f"{name}: cannot be created from {model['source']}: {failure}") from None
    try:
        prove(server, model, candidate, model["context"], names)
        compare_abilities(server, model, candidate)
        proved = ask_session(server, name, candidate, model)
        is_loaded = unload(server, candidate)
    except BaseException:
        with suppress(Failure, OSError):
            server.remove(candidate)
        raise
    server.rename(candidate, name)
    if is_loaded:
        try:
            server.load(name)
        except Failure as failure:
            report(name, f"warning: is not in memory after its proof: {failure}")
    return proved


def unload(server: Server, candidate: str) -> bool:
    """Remove a candidate from memory, and return whether it was there under this name.

    Ollama lists loaded weights under the name that loaded them, for as long as they stay loaded.
    """
    if full(candidate) not in [full(entry["name"]) for entry in server.loaded()]:
        return False
    server.unload(candidate)
    return True


def ask_session(server: Server, name: str, current: str, model: Model) -> Model:
    """Ask a model a session, print its outcomes, and return their record. Raises ``Failure``."""
    expected = {**model["session"], "context": model["context"]}
    began = time.monotonic()
    found = list(Session(Api(server.url, current, {}, LOADING), expected).outcomes())
    print(*lines(name, found), sep="\n", flush=True)
    if messages := list(failures(name, found)):
        raise Failure("\n".join(messages))
    return record(found, time.monotonic() - began)


def prove_all(server: Server, desired: list[Model], path: str, *, sessions: bool) -> None:
    """Test all unchanged models, which a new server must serve as well. Raises ``Failure``."""
    ledger, present = read(path), server.digests()
    for model in desired:
        name = model["name"]
        if is_unchanged(name, ledger, present):
            entry = ledger[name]
            names = names_of_weights(entry["tag"], [], ledger)
            prove(server, model, name, entry["context"], names)
            if sessions and "session" in entry:
                entry["proof"] = ask_session(server, name, name, entry)
    if sessions:
        write(path, ledger)


def main(mode: str, url: str, path: str) -> int:
    """Create or test the models on standard input, and return the exit status."""
    if mode == "give":
        return give(url, path)
    desired = json.load(sys.stdin)
    try:
        if mode == "make":
            make(Server(url), desired, path)
        else:
            prove_all(Server(url), desired, path, sessions=mode == "session")
    except Failure as failure:
        print(failure, file=sys.stderr)
        return NEVER
    except (NotReady, OSError, HTTPException, ValueError) as error:
        if mode == "make":
            print(f"Ollama at {url} does not answer: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
