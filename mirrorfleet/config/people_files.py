"""People of developer groups from files: YAML, or CSV as other systems export it.

``users: {file: people.csv}`` becomes the list of logins in the file. Each keeps its file and line.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mirrorfleet.config import reading
from mirrorfleet.config.problems import FleetError, Key, Place, Problem, did_you_mean
from mirrorfleet.config.yaml_nodes import UNSOUND, Node, parse

LISTS = ("users", "packaged")
"""Keys of a group that are lists of logins; ``seats`` has them by host."""

COLUMNS = ("login", "person", "host", "group")
"""Columns of a CSV file. Others are for other readers."""


@dataclass(frozen=True)
class Row:
    """A person in a file. ``host`` and ``group`` are empty if the file does not have them."""

    login: Node
    person: Node | None = None
    host: Node | None = None
    group: str = ""


@dataclass
class _Files:
    """What was read, by file, and the problems."""

    rows: dict[tuple[str, Path], list[Row]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def insert(tree: Node) -> tuple[Node, list[Problem]]:
    """Return the tree with the people of all files in place of their names, and the problems."""
    section = tree.value.get("developers") if isinstance(tree.value, dict) else None
    if section is None or not isinstance(section.value, dict):
        return tree, []
    files = _Files()
    groups = {
        name: _group(name, group, files) if isinstance(group.value, dict) else group
        for name, group in section.value.items()
    }
    developers = Node(groups, section.place, section.covers)
    return Node({**tree.value, "developers": developers}, tree.place, tree.covers), files.problems


def _group(name: str, group: Node, files: _Files) -> Node:
    keys = dict(group.value)
    for key in (*LISTS, "seats"):
        node = keys.get(key)
        source = _source(node)
        if node is None or source is None:
            continue
        at: Key = ("developers", name, key)
        rows = _rows(key, at, node, source, files)
        if rows is None:
            keys[key] = Node(UNSOUND, node.place)
            continue
        rows = [row for row in rows if row.group in ("", name)]
        if not rows:
            mistake = f"{source.value} has no row with '{name}' in its column 'group'."
            files.problems.append(Problem(node.place, at, mistake, "Write the group's name there."))
            keys[key] = Node(UNSOUND, node.place)
            continue
        if key == "seats" and (missing := [row for row in rows if not row.host]):
            files.problems += [
                Problem(row.login.place, at, "has no host.", "Add it.") for row in missing
            ]
            keys[key] = Node(UNSOUND, node.place)
            continue
        keys[key] = _seats(rows, node) if key == "seats" else _logins(rows, node)
        people = _people(rows, key)
        written = keys.get("people")
        if people and (written is None or isinstance(written.value, dict)):
            own = written.value if written else {}
            keys["people"] = Node({**people, **own}, written.place if written else node.place)
    return Node(keys, group.place, group.covers)


def _source(node: Node | None) -> Node | None:
    """Return the name of a file, ``None`` for people who are written in the fleet file."""
    if node is None or not isinstance(node.value, dict) or [*node.value] != ["file"]:
        return None
    name: Node = node.value["file"]
    return name if isinstance(name.value, str) else None


def _rows(key: str, at: Key, node: Node, source: Node, files: _Files) -> list[Row] | None:
    path = Path(source.place.file).parent / Path(source.value).expanduser()
    kind = "seats" if key == "seats" else "list"
    if (kind, path) not in files.rows:
        before = len(files.problems)
        try:
            read = _csv if path.suffix.lower() == ".csv" else _yaml
            rows = list(read(path, at, kind, files.problems))
            rows = list(_once(rows, at, kind, files.problems))
        except FleetError as error:
            files.problems += error.problems
        except reading.Unreadable as error:
            mistake = f"names '{source.value}', which cannot be read: {error.mistake}"
            files.problems.append(Problem(source.place, (*at, "file"), mistake, error.remedy))
        if len(files.problems) > before:
            return None
        files.rows[kind, path] = rows
    return files.rows[kind, path]


def _csv(path: Path, at: Key, kind: str, problems: list[Problem]) -> Iterator[Row]:
    """Yield the people of a CSV file; its first line names the columns."""
    # Spreadsheets begin a file with a byte order mark.
    lines = reading.text(path).removeprefix("\ufeff").splitlines()
    table = csv.DictReader(lines, skipinitialspace=True, strict=True)
    needed = ("login", "host") if kind == "seats" else ("login",)
    try:
        columns = [name.strip().lower() for name in table.fieldnames or ()]
        table.fieldnames = columns
        missing = [name for name in needed if name not in columns]
        if missing:
            fix = did_you_mean(missing[0], columns, listed=False)
            fix = fix or f"The first line names the columns: {', '.join(COLUMNS)}."
            mistake = f"has no column '{missing[0]}'."
            problems.append(Problem(Place(str(path), 1), at, mistake, fix))
            return
        for record in table:
            place = Place(str(path), table.line_num)
            cells = {name: (text or "").strip() for name, text in record.items() if name in COLUMNS}
            if not any(cells.values()):
                continue
            # Only a group whose row it is needs its host: other groups may have packages.
            if not cells["login"]:
                problems.append(Problem(place, at, "has no login.", "Add it."))
                continue
            nodes = {name: Node(text, place) for name, text in cells.items() if text}
            host = nodes.get("host") if kind == "seats" else None
            yield Row(nodes["login"], nodes.get("person"), host, cells.get("group", ""))
    except csv.Error as error:
        mistake = f"is not CSV: {error}."
        problems.append(Problem(Place(str(path), table.line_num), at, mistake, "Close the quotes."))


def _yaml(path: Path, at: Key, kind: str, problems: list[Problem]) -> Iterator[Row]:
    """Yield the people of a YAML file."""
    parsed = parse(path)
    problems += parsed.problems
    content = parsed.tree
    if kind == "list" and isinstance(content.value, list):
        yield from (Row(login) for login in content.value)
    elif kind == "list" and isinstance(content.value, dict):
        yield from (
            Row(Node(login, person.place), person if person.value is not None else None)
            for login, person in content.value.items()
        )
    elif kind == "seats" and _is_by_host(content.value):
        for host, logins in content.value.items():
            yield from (Row(login, host=Node(host, logins.place)) for login in logins.value)
    else:
        form = "{dev-1: [ada]}" if kind == "seats" else "[ada, grace]"
        what = "a mapping of hosts to logins" if kind == "seats" else "a list of logins"
        mistake = f"is not {what}."
        problems.append(Problem(content.place, at, mistake, f"For example: {form}."))


def _is_by_host(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(each.value, list) for each in value.values())


def _once(rows: list[Row], at: Key, kind: str, problems: list[Problem]) -> Iterator[Row]:
    """Yield each person, and report those who are there twice."""
    seen: dict[tuple[str, str, str], Place] = {}
    for row in rows:
        host = str(row.host.value) if row.host else ""
        who = (str(row.login.value), host, row.group)
        first = seen.setdefault(who, row.login.place)
        if first is not row.login.place:
            mistake = f"'{row.login.value}' is already in line {first.line}."
            problems.append(Problem(row.login.place, at, mistake, "Remove one of the two."))
        else:
            yield row


def _logins(rows: list[Row], node: Node) -> Node:
    return Node([row.login for row in rows], node.place, node.covers)


def _seats(rows: list[Row], node: Node) -> Node:
    hosts: dict[str, list[Row]] = {}
    for row in rows:
        if row.host:
            hosts.setdefault(row.host.value, []).append(row)
    lists = {host: _logins(own, own[0].host or node) for host, own in hosts.items()}
    return Node(lists, node.place, node.covers)


def _people(rows: list[Row], key: str) -> Mapping[str, Node]:
    """Return the person of each login, or of each login on a host."""
    return {
        f"{row.login.value}@{row.host.value}" if key == "seats" and row.host else row.login.value: (
            row.person
        )
        for row in rows
        if row.person and isinstance(row.login.value, str)
    }
