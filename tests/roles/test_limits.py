"""The limits and budgets of a gateway without LiteLLM: periods, names, counts of the ledger."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mirrorfleet import fleet
from mirrorfleet.jobs.usage import budgets
from mirrorfleet.jobs.usage.sums import parse
from mirrorfleet.planning import LitellmPlan
from mirrorfleet.roles.litellm import limits
from mirrorfleet.roles.litellm.files.mirrorfleet_ledger import Ledger, Turn
from tests.roles.test_usage_budgets import NOW, TURNS
from tests.roles.test_usage_report import printed

FILES = Path(__file__).parents[2] / "roles/litellm/files"
GOOD = Path(__file__).parents[1] / "fleet/good/limits.yml"
NAMES = ("limits_file", "periods", "rates", "spending")


@pytest.fixture(scope="module", name="modules")
def loaded() -> Iterator[dict[str, ModuleType]]:
    """Yield the modules of a gateway, imported as LiteLLM imports them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FILES))
        patch.setitem(sys.modules, "prometheus_client", _without_metrics())
        yield {name: __import__(f"mirrorfleet_{name}") for name in NAMES}
        for name in [each for each in sys.modules if each.startswith("mirrorfleet_")]:
            del sys.modules[name]


def _without_metrics() -> ModuleType:
    module = ModuleType("prometheus_client")
    vars(module)["Counter"] = lambda *_: None
    return module


@pytest.fixture(scope="module", name="rules")
def parsed(modules: dict[str, ModuleType]) -> Any:
    return modules["limits_file"].parse(limits.desired(planned()))


def planned() -> LitellmPlan:
    hosts = fleet.plan(fleet.load(GOOD)).hosts.values()
    return next(host.gateway for host in hosts if host.gateway)


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("kind", "zone", "now", "start", "end"),
    [
        ("day", "UTC", "2026-11-30T12:00", "2026-11-30", "2026-12-01"),
        ("week", "UTC", "2026-12-02T00:00", "2026-11-30", "2026-12-07"),
        ("month", "UTC", "2026-12-31T23:59", "2026-12-01", "2027-01-01"),
        # Berlin is two hours ahead of UTC until the end of October 25, then one.
        ("day", "Europe/Berlin", "2026-10-25T12:00", "2026-10-24T22:00", "2026-10-25T23:00"),
        ("month", "Europe/Berlin", "2026-10-01T00:00", "2026-09-30T22:00", "2026-10-31T23:00"),
        ("day", "America/New_York", "2026-11-30T04:59", "2026-11-29T05:00", "2026-11-30T05:00"),
    ],
)
def test_periods_begin_at_midnight_of_their_zone(
    modules: dict[str, ModuleType], kind: str, zone: str, now: str, start: str, end: str
) -> None:
    found = modules["periods"].period(kind, zone, seconds(now))
    assert tuple(found) == (seconds(start), seconds(end))


def test_limits_of_a_turn(rules: Any) -> None:
    found = {limit.subject: tuple(limit[1:]) for limit in rules.limits_of("ada", "team", "coder")}
    assert found == {
        "fleet": (None, 60),
        "person:ada": (60, 16),  # the own value, and that of per_person
        "group:team": (None, 40),
        "model:coder": (None, 32),
    }
    found = {limit.subject: tuple(limit[1:]) for limit in rules.limits_of("lin", "interns", "x")}
    assert found["person:lin"] == (60, 8)
    assert found["group:interns"] == (100, 40)


def test_models_of_a_request(rules: Any) -> None:
    paths = "/v1/messages", "/anthropic/v1/messages"
    assert [rules.model(paths[0], name) for name in ("opus", "coder", "made-up")] == [
        *("cloud", "coder", "made-up")
    ]
    wild = rules._replace(names={**rules.names, "openai/*": "openai/*"}, passthrough="cloud")
    assert wild.model(paths[0], "openai/gpt-5") == "openai/*"
    assert wild.model(paths[1], "claude-opus-5-5") == "cloud"


def test_budgets_of_a_turn(modules: dict[str, ModuleType], rules: Any) -> None:
    spender = modules["limits_file"].Spender
    ada, lin = spender("ada", "p-1", "team"), spender("lin", "p-2", "interns")

    def found(who: Any, model: str | None) -> list[tuple[Any, ...]]:
        return [(share.budget.name, *share[1:]) for share in rules.budgets_of(who, model)]

    assert found(ada, "coder") == [
        ("daily", "ada", "p-1", 8_000_000),
        ("engines", "coder", "coder", 2_500_000_000),
    ]
    assert found(lin, "cloud") == [("cloud", "interns", "interns", 200)], "unlimited per day"
    assert [name for name, *_ in found(ada, None)] == ["daily", "cloud", "engines"]


@pytest.mark.parametrize("text", ["{}", "[]", '{"version": 1}', '{"version": 2}', "x"])
def test_a_broken_file_serves_no_turn(
    modules: dict[str, ModuleType], tmp_path: Path, text: str
) -> None:
    file = modules["limits_file"].LimitsFile(tmp_path / "limits.json")
    assert file.rules() == modules["limits_file"].NONE
    (tmp_path / "limits.json").write_text(text)
    with pytest.raises(Exception, match="can't read its limits") as raised:
        file.rules()
    assert vars(raised.value)["code"] == 503


def test_counts_of_a_worker(modules: dict[str, ModuleType]) -> None:
    now = 0.0
    counts = modules["rates"].LocalCounts(lambda: now)
    limit = modules["limits_file"].Limit("person:ada", 2, 1)
    counts.add("first", [limit])
    assert counts.exceeded([limit]).is_rate is False
    counts.remove("first", [limit])
    now = 10.0
    counts.add("second", [limit])
    counts.remove("second", [limit])
    exceeded = counts.exceeded([limit])
    assert (exceeded.is_rate, exceeded.wait) == (True, 50.0)
    now = 60.0
    assert counts.exceeded([limit]) is None
    fewer = limit._replace(requests_per_minute=1)
    assert counts.exceeded([fewer]).wait == 10.0


def turn(at: str, person: str = "ada", model: str = "coder", **counts: int) -> Turn:
    numbers: dict[str, Any] = dict.fromkeys(Turn._fields, 0) | {
        "ended": int(seconds(at) * 1000),
        **counts,
    }
    names = {"person": person, "group": "team", "asked": "sonnet", "model": model}
    texts = {"deployment": "host", "session": "", "outcome": "complete", "mended": ""}
    return Turn(**{**numbers, **names, **texts})


def test_spending_is_that_of_the_ledger(
    modules: dict[str, ModuleType], rules: Any, tmp_path: Path
) -> None:
    daily, cloud, engines = rules.budgets
    path = tmp_path / "ledger"
    spending, now = modules["spending"].Spending(path), seconds("2026-12-02T12:00")
    spending.update(rules.budgets, now)
    assert spending.amount(daily, "ada") == 0, "there is no ledger yet"
    ledger = Ledger(path)
    ledger.add(
        [
            turn("2026-12-01T22:59", input=7),  # yesterday in Berlin
            turn("2026-12-01T23:00", input=100, cache_read=1000, output=20),
            turn("2026-12-02T11:00", input=5, cache_write=3),
            turn("2026-12-01T00:30", model="cloud", cost=1_500_000_000),
            turn("2026-11-30T00:30", output=9, cache_read=1000),
        ]
    )
    spending.update(rules.budgets, now)
    assert spending.amount(daily, "ada") == pytest.approx(100 + 100 + 20 + 5 + 3)
    assert spending.amount(cloud, "team") == 1.5
    assert spending.amount(engines, "coder") == 7 + 120 + 8 + 9, "this week, without cache reads"
    spending.changed()
    ledger.add([turn("2026-12-02T11:30", person="bob", input=50)])
    spending.update(rules.budgets, now)
    assert spending.changed() == {(daily, "bob"), (engines, "coder")}
    again = modules["spending"].Spending(path)
    again.update(rules.budgets, now)
    assert again.amounts() == spending.amounts()
    larger = (replace(daily, amount=1), cloud, engines)
    spending.update(larger, now)
    assert spending.amount(larger[0], "bob") == 50
    spending.update(larger, seconds("2026-12-02T23:00"))
    assert spending.amount(larger[0], "bob") == 0, "a new day in Berlin"
    assert spending.amount(engines, "coder") == 7 + 120 + 8 + 9 + 50


@pytest.mark.parametrize("name", TURNS)
def test_the_report_counts_as_the_gateway_does(
    modules: dict[str, ModuleType], rules: Any, tmp_path: Path, name: str
) -> None:
    ledger = Ledger(tmp_path / "ledger")
    ledger.add(TURNS[name])
    ledger.close()
    spending = modules["spending"].Spending(ledger.path)
    spending.update(rules.budgets, NOW, frozenset(rules.names.values()), rules.passthrough)
    gateway = planned()
    starts = ",".join(map(str, budgets.starts(gateway.budgets, NOW)))
    columns = "day,person,group,model"
    found = parse(printed(ledger.path, columns, starts), name, columns.split(","))
    shares = budgets.shares(found.used, gateway, NOW)
    assert shares
    for share in shares:
        [budget] = [each for each in rules.budgets if each.name == share.budget.name]
        assert share.used == pytest.approx(spending.amount(budget, share.name))
        assert share.end == spending.period(budget).end
        assert share.amount == budget.amount_of(share.name)


def test_the_file_of_a_gateway_without_limits(tmp_path: Path) -> None:
    text = GOOD.read_text()
    start, end = text.index("  usage: {}\n"), text.index("  master_key")
    other = tmp_path / "fleet.yml"
    other.write_text(text[:start] + text[end:])
    hosts = fleet.plan(fleet.load(other)).hosts.values()
    assert [limits.desired(host.gateway) for host in hosts if host.gateway] == ["", ""]
