"""Measured figures: medians, extremes, ratios; as JSON lines and as tables."""

import json
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, field, frozen

from rrsd.cli.output import facts, table


@frozen
class Figure:
    """One quantity of one contestant, once per run. `ratio_to` names the contestant whose time is set beside it."""

    contest: str
    contestant: str
    quantity: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle run."""
        return statistics.median(self.values)

    @property
    def least(self) -> float:
        """The smallest."""
        return min(self.values)

    @property
    def most(self) -> float:
        """The largest."""
        return max(self.values)

    def document(self) -> dict[str, Any]:
        """For a JSON line."""
        return {
            "contest": self.contest,
            "contestant": self.contestant,
            "quantity": self.quantity,
            "unit": self.unit,
            "median": rounded(self.median),
            "min": rounded(self.least),
            "max": rounded(self.most),
            "runs": [rounded(value) for value in self.values],
        }


@frozen
class Verdict:
    """A goal beside what was measured."""

    goal: str
    found: str
    is_met: bool

    def document(self) -> dict[str, Any]:
        """For a JSON line."""
        return {"goal": self.goal, "found": self.found, "met": self.is_met}


@define(eq=False)
class Sheet:
    """Everything that was measured, in order."""

    machine: Mapping[str, str]
    _values: dict[tuple[str, str, str, str], list[float]] = field(factory=dict, init=False)
    verdicts: list[Verdict] = field(factory=list, init=False)
    notes: list[str] = field(factory=list, init=False)

    def add(self, contest: str, contestant: str, measured: Mapping[str, tuple[float, str]]) -> None:
        """Write one run down: (value, unit) by quantity."""
        for quantity, (value, unit) in measured.items():
            self._values.setdefault((contest, contestant, quantity, unit), []).append(value)

    @property
    def figures(self) -> list[Figure]:
        """All of them."""
        return [Figure(*key, tuple(values)) for key, values in self._values.items()]

    def find(self, contest: str, contestant: str, quantity: str) -> Figure | None:
        """One of them, if it was measured."""
        wanted = (contest, contestant, quantity)
        return next((each for each in self.figures if (each.contest, each.contestant, each.quantity) == wanted), None)

    def judge(self, goal: str, found: str, is_met: bool) -> None:
        """Set a goal beside what was measured."""
        self.verdicts.append(Verdict(goal, found, is_met))

    def lines(self) -> list[str]:
        """JSON lines: machine, figures, goals, notes."""
        documents = [
            {"machine": dict(self.machine)},
            *(each.document() for each in self.figures),
            *(each.document() for each in self.verdicts),
            *({"note": note} for note in self.notes),
        ]
        return [json.dumps(document) for document in documents]


def ratio(above: Figure | None, below: Figure | None) -> tuple[float, float] | None:
    """The ratio of the medians, and that of the minima."""
    if above is None or below is None or not below.least:
        return None
    return above.median / below.median, above.least / below.least


def rows(figures: Sequence[Figure]) -> list[list[str]]:
    """Contestant, quantity, median, min, max, unit: for a table."""
    return [
        [each.contestant, each.quantity, *(shown(value) for value in (each.median, each.least, each.most)), each.unit]
        for each in figures
    ]


COLUMNS = ("contestant", "quantity", "median", "min", "max", "unit")


def in_one_table(sheet: Sheet) -> str:
    """The machine, all figures, then goals and notes, for a terminal."""
    return "\n".join([f"{facts(sheet.machine)}\n\n{table(COLUMNS, rows(sheet.figures))}", *_judged(sheet)])


def by_contest(sheet: Sheet) -> str:
    """The machine, a table for each contest, then goals and notes, for a terminal."""
    told = [f"\n{facts(sheet.machine)}"]
    for contest in dict.fromkeys(each.contest for each in sheet.figures):
        told.append(
            f"\n{contest}\n" + table(COLUMNS, rows([each for each in sheet.figures if each.contest == contest]))
        )
    return "\n".join([*told, "", *_judged(sheet)])


def _judged(sheet: Sheet) -> list[str]:
    goals = [f"{'met    ' if each.is_met else 'MISSED '} {each.goal}: {each.found}" for each in sheet.verdicts]
    return goals + sheet.notes


def shown(value: float) -> str:
    """Three figures that count, and no more than two places."""
    return (
        f"{value:,.0f}"
        if abs(value) >= 100 or value == int(value)
        else f"{value:.1f}"
        if abs(value) >= 10
        else f"{value:.2f}"
    )


def rounded(value: float) -> float:
    """What a JSON line says."""
    return round(value, 4 if abs(value) < 10 else 1)
