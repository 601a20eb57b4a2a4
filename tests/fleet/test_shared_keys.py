"""What groups of developers share: defaults, other groups, people from files."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirrorfleet import fleet
from mirrorfleet.config import Developers
from mirrorfleet.planning.explain import values

HERE = Path(__file__).parent
HEAD = (HERE / "bad" / "inherited.yml").read_text().split("developers:")[0]


def groups(place: Path, text: str) -> dict[str, Developers]:
    (place / "fleet.yml").write_text(f"{HEAD}developers:\n{text}")
    return dict(fleet.load(place / "fleet.yml").developers)


def test_a_group_merges_its_keys_over_the_defaults_and_the_group_that_it_extends(
    tmp_path: Path,
) -> None:
    found = groups(
        tmp_path,
        """\
  defaults:
    {model: cloud, version: 2.1.331, privacy: none, permissions: {deny: [A], ask: [B]}}
  base: {hosts: [dev], users: [ada], scope: isolated, command: claude-x, permissions: {ask: [C]}}
  next: {extends: base, seats: {dev: [grace]}, permissions: {deny: [D]}, privacy: null}
""",
    )
    assert [*found] == ["base", "next"]
    base, following = found["base"], found["next"]
    assert (base.privacy, base.permissions.deny, base.permissions.ask) == ("none", ("A",), ("C",))
    # People and command are a group's own; null restores the default of Mirrorfleet.
    assert following.users_by_host == {"dev": ("grace",)}
    assert (following.scope, following.command) == ("isolated", "claude-next")
    assert (following.permissions.deny, following.permissions.ask) == (("D",), ("C",))
    assert following.privacy == "strict"


def test_an_included_file_can_have_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "base.yml").write_text(
        f"{HEAD}developers: {{defaults: {{model: cloud, version: 2.1.331}}}}\n"
    )
    (tmp_path / "fleet.yml").write_text(
        "include: base.yml\n"
        "developers: {defaults: {privacy: none}, a: {hosts: [dev], users: [ada]}}\n"
    )
    found = fleet.load(tmp_path / "fleet.yml").developers["a"]
    assert (found.model, found.privacy) == ("cloud", "none")


CSV = '\ufefflogin, person ,host,group,age\nada,"ada.lovelace",dev,a,36\n\nlinus,,dev,b,\n'


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("people.yml", "- ada\n- grace\n", {"ada": "ada", "grace": "grace"}),
        ("people.yml", "ada: lovelace\ngrace:\n", {"ada": "lovelace", "grace": "grace"}),
        ("people.csv", CSV, {"ada": "ada.lovelace"}),
    ],
)
def test_people_come_from_a_file_beside_the_fleet_file(
    tmp_path: Path, name: str, content: str, expected: dict[str, str]
) -> None:
    (tmp_path / name).write_text(content)
    a = f"{{hosts: [dev], users: {{file: {name}}}, model: cloud, version: 2.1.331}}"
    found = groups(tmp_path, f"  a: {a}\n")["a"]
    assert {login: found.person("dev", login) for login in found.logins} == expected


def test_seats_come_from_a_file_and_each_host_can_have_its_own_person(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("host,login,person\ndev,me,ada\ngw,me,grace\ngw,eve,\n")
    found = groups(tmp_path, "  a: {seats: {file: people.csv}, model: cloud, version: 2.1.331}\n")[
        "a"
    ]
    assert found.users_by_host == {"dev": ("me",), "gw": ("me", "eve")}
    assert (found.person("dev", "me"), found.person("gw", "me")) == ("ada", "grace")


def test_a_row_of_another_group_needs_no_host(tmp_path: Path) -> None:
    """One file serves a group on hosts and one with packages."""
    common = "model: cloud, version: 2.1.331}\n"
    text = (
        f"  a: {{seats: {{file: people.csv}}, {common}"
        f"  b: {{packaged: {{file: people.csv}}, {common}"
    )
    (tmp_path / "people.csv").write_text("login,host,group\nada,dev,a\neve,,b\n")
    found = groups(tmp_path, text)
    assert found["a"].users_by_host == {"dev": ("ada",)}
    assert found["b"].packaged == ("eve",)

    (tmp_path / "people.csv").write_text("login,host,group\nada,dev,a\ngrace,,a\neve,,b\n")
    with pytest.raises(fleet.FleetError) as error:
        groups(tmp_path, text)
    [problem] = error.value.problems
    assert (problem.place.line, problem.text) == (
        3,
        "developers.a.seats: has no host. Add it.",
    )


def test_a_mistake_in_a_file_of_people_has_its_line(tmp_path: Path) -> None:
    (tmp_path / "people.yml").write_text("- ada\n- Grace\n")
    with pytest.raises(fleet.FleetError) as error:
        groups(
            tmp_path,
            "  a: {hosts: [dev], users: {file: people.yml}, model: cloud, version: 2.1.331}\n",
        )
    [problem] = error.value.problems
    assert (Path(problem.place.file).name, problem.place.line) == ("people.yml", 2)


def test_an_inherited_value_says_the_line_where_it_is_written() -> None:
    plan = fleet.plan(fleet.load(HERE / "good" / "distributed.yml"))
    text = (HERE / "good" / "distributed.yml").read_text().splitlines()
    [directories] = [
        value
        for value in values(plan, plan.hosts["dev-2"])
        if value.path == ("clients", "managed", "settings", "permissions", "additionalDirectories")
    ]
    place = directories.sources[0].place
    assert place and "additional_directories" in text[place.line - 1]


def test_keys_for_anchors_are_ignored_where_other_keys_are_mistakes(tmp_path: Path) -> None:
    found = groups(
        tmp_path,
        """\
  a:
    x-note: {any: [thing, 2]}
    hosts: [dev]
    users: [ada]
    permissions: {x-shared: &deny [Read(.env)], deny: *deny}
    model: cloud
    version: 2.1.331
""",
    )
    assert found["a"].permissions.deny == ("Read(.env)",)
    with pytest.raises(fleet.FleetError, match="x-of-claude-code"):
        groups(
            tmp_path,
            "  a: {hosts: [dev], users: [ada], model: cloud, version: 2.1.331, "
            "settings: {x-of-claude-code: 1}}\n",
        )


@pytest.mark.parametrize(
    ("text", "number"),
    [("256Ki", 262_144), ("200k", 200_000), ("1m", 1_000_000), ("1.5Mi", 1_572_864)],
)
def test_a_window_can_have_a_suffix(tmp_path: Path, text: str, number: int) -> None:
    (tmp_path / "fleet.yml").write_text(HEAD.replace("200k", text).replace("32000", "16k"))
    model = fleet.load(tmp_path / "fleet.yml").models["cloud"]
    assert (model.context, model.output) == (number, 16_000)


def test_a_suffix_is_for_tokens_only(tmp_path: Path) -> None:
    text = HEAD.replace("master_key", "port: 4k, master_key")
    (tmp_path / "fleet.yml").write_text(text)
    with pytest.raises(fleet.FleetError, match=r"gateway\.port: must be an integer, not '4k'"):
        fleet.load(tmp_path / "fleet.yml")
