"""The file of playbooks: read, checked as a whole, compiled. Every problem is reported at once.

Beyond the schema: amounts are in the shop's currency, levels rise, no level is shadowed by the
next, and every path ends in a resolution or with a person.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from pydantic import ValidationError

from monitor.config.playbooks_schema import PlaybookFile, PlaybooksFile, StepFile, percent_ppm
from monitor.config.problems import problems_from
from monitor.config.report import Report
from monitor.config.rules_file import shipped_path
from monitor.config.yaml_lines import Positions, YamlPath, read_with_positions
from monitor.model.amounts import amount_minor
from monitor.model.errors import ConfigError, Problem
from monitor.model.playbooks import (
    CouponStep,
    NotifyStep,
    OfferStep,
    PageStep,
    Playbook,
    Playbooks,
    QuietHours,
    RefundStep,
    ResolveStep,
    Step,
    TaskStep,
)

FILE_NAME = "playbooks.yaml"
SHIPPED_CURRENCY = "CNY"
ALWAYS = -1

_APPROVAL = re.compile(r"amount ?(>=?) ?(.{1,40})")
_DAILY = re.compile(r"(.{1,40}?) ?/ ?day")
# Which address of the shop a step needs.
_NEEDS = {
    "notify_buyer": "notify",
    "coupon": "compensate",
    "offer": "notify",
    "refund": "refund",
}


def shipped_playbooks() -> Path:
    """The playbooks that come with the program."""
    return shipped_path() / FILE_NAME


def chosen_playbooks(
    named: str | None, folder: Path, currency: str, takes: tuple[str, ...], report: Report
) -> Playbooks:
    """The playbooks of a configuration: the file it names, beside it, or the shipped one.

    The contract's own example names the shipped file; where nobody made a copy of it, it is meant.
    """
    path = None if named is None else folder / named
    if path is not None and named == f"rules/{FILE_NAME}" and not path.exists():
        message = f"{named} is not there: the shipped playbooks are used, which send nothing"
        report.warn(("playbooks",), message, f"copy them from {shipped_playbooks()}")
        path = None
    if path is not None and not _is_there(path):
        report.error(("playbooks",), f"{named} cannot be read", "name a file beside this one")
        return Playbooks()
    try:
        return load_playbooks(path or shipped_playbooks(), currency, takes, is_shipped=path is None)
    except ConfigError as error:
        report.errors += error.problems
        return Playbooks()


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long for a file
        return False


def load_playbooks(
    path: Path, currency: str, takes: tuple[str, ...], *, is_shipped: bool = False
) -> Playbooks:
    """Read a file of playbooks; `takes` are the addresses the shop has: notify, compensate, refund.

    The amounts of the shipped file are taken for amounts of any currency, because they only say
    what would be done. Raises: ConfigError with every problem.
    """
    value, positions = read_with_positions(path)
    try:
        file = PlaybooksFile.model_validate(value)
    except ValidationError as error:
        raise ConfigError(problems_from(error, positions, str(path), PlaybooksFile)) from error
    written_in = SHIPPED_CURRENCY if is_shipped else currency
    compiler = _Compiler(str(path), positions, currency, takes, written_in)
    found = compiler.compiled(file)
    if compiler.problems:
        places = sorted(compiler.problems, key=lambda one: (one.line, one.column))
        raise ConfigError(places)
    return found


class _Compiler:
    def __init__(
        self,
        path: str,
        positions: Positions,
        currency: str,
        takes: tuple[str, ...],
        written_in: str,
    ) -> None:
        self.problems: list[Problem] = []
        self._path = path
        self._positions = positions
        self._currency = currency
        self._takes = takes
        self._written_in = written_in

    def compiled(self, file: PlaybooksFile) -> Playbooks:
        levels: list[Playbook] = []
        for index, written in enumerate(file.playbooks):
            levels.append(self._level(written, index, levels, file))
        self._check_order(levels)
        self._check_end(levels)
        ages = [level.age_ms for level in levels if level.age_ms is not None]
        vip = file.defaults.vip_multiplier
        return Playbooks(
            levels=tuple(levels),
            vip_multiplier=vip,
            batch_above=file.defaults.batch_above,
            ages_ms=tuple(sorted({*ages, *(round(age * vip) for age in ages)})),
            is_predicting=any(level.predicted_late is not None for level in levels),
        )

    def _level(
        self, written: PlaybookFile, index: int, before: list[Playbook], file: PlaybooksFile
    ) -> Playbook:
        at: YamlPath = ("playbooks", index)
        number = written.level or (before[-1].level + 1 if before else 1)
        if before and number <= before[-1].level:
            self._report((*at, "level"), f"level {number} must be above {before[-1].level}")
        if any(one.name == written.id for one in before):
            self._report((*at, "id"), f"'{written.id}' is taken by an earlier playbook")
        defaults = file.defaults
        steps = [self._step(step, (*at, "do", place)) for place, step in enumerate(written.do)]
        self._check_twice(steps, (*at, "do"))
        is_dry_run = defaults.dry_run if written.dry_run is None else written.dry_run
        quiet = written.quiet_hours or defaults.quiet_hours
        if not is_dry_run:
            self._check_shop(steps, (*at, "do"))
        return Playbook(
            name=written.id,
            level=number,
            steps=tuple(steps),
            tier=written.when.tier,
            age_ms=written.when.age,
            predicted_late=written.when.predicted_late,
            budgets=self._budgets(written, (*at, "budget")),
            approval_above_minor=self._approval(written, (*at, "require", "approval")),
            is_dry_run=is_dry_run,
            on_failure=written.on_failure or defaults.on_failure,
            quiet_hours=QuietHours(*quiet) if quiet else None,
        )

    def _step(self, step: StepFile, at: YamlPath) -> Step:
        if step.notify_buyer:
            return NotifyStep(step.notify_buyer.template, tuple(step.notify_buyer.channels))
        if step.resolve:
            return ResolveStep(tuple(step.resolve.order))
        if step.coupon:
            return self._coupon(step, (*at, "coupon"))
        if step.task:
            return TaskStep(step.task.queue, step.task.sla)
        if step.page:
            return PageStep(step.page.policy)
        if step.offer:
            return OfferStep(tuple(step.offer.choices), step.offer.expires, step.offer.default)
        return RefundStep()

    def _coupon(self, step: StepFile, at: YamlPath) -> CouponStep:
        coupon = step.coupon
        assert coupon is not None
        ppm = percent_ppm(coupon.value)
        fixed = None if ppm is not None else self._money(coupon.value, (*at, "value"))
        most = None if coupon.max is None else self._money(coupon.max, (*at, "max"))
        if ppm is not None and coupon.max is None:
            self._report(at, "a coupon in percent needs 'max'", "say how much it may be at most")
        if fixed == 0 or most == 0:
            self._report(at, "a coupon of nothing is no coupon")
        return CouponStep(fixed, ppm, most, coupon.once_per)

    def _budgets(self, written: PlaybookFile, at: YamlPath) -> dict[str, int]:
        found = {}
        for name, text in (
            ("coupon", written.budget.coupon),
            ("fallback_cost", written.budget.fallback_cost),
        ):
            if text is None:
                continue
            match = _DAILY.fullmatch(text)
            if match is None:
                self._report((*at, name), f"{name} must be an amount a day",
                             f"write for example 200 {self._currency}/day")  # fmt: skip
            else:
                found[name] = self._money(match[1], (*at, name))
        has_coupon = any(step.coupon for step in written.do)
        if has_coupon and written.budget.coupon is None:
            self._report(at, "coupons need a budget",
                         f"write budget: {{coupon: 200 {self._currency}/day}}")  # fmt: skip
        return found

    def _approval(self, written: PlaybookFile, at: YamlPath) -> int | None:
        if written.require is None:
            return None
        text = written.require.approval
        if text == "always":
            return ALWAYS
        match = _APPROVAL.fullmatch(text)
        if match is None:
            hint = f'write always, or "amount > 200 {self._currency}"'
            self._report(at, "approval is not understood", hint)
            return ALWAYS
        return self._money(match[2], at) - (match[1] == ">=")

    def _money(self, text: str, at: YamlPath) -> int:
        try:
            return amount_minor(text.replace(self._written_in, self._currency), self._currency)
        except ValueError as error:
            self._report(at, f"{at[-1]} {error}")
            return 1  # one mistake, not two

    # --- what must hold between steps and levels --------------------------------------------------

    def _check_twice(self, steps: list[Step], at: YamlPath) -> None:
        for index, step in enumerate(steps):
            is_again = any(type(step) is type(one) for one in steps[:index])
            if is_again and not isinstance(step, NotifyStep):
                self._report((*at, index), f"{_kind(step)} stands twice in one level")

    def _check_shop(self, steps: list[Step], at: YamlPath) -> None:
        for index, step in enumerate(steps):
            needed = [_NEEDS.get(_kind(step), "")]
            if isinstance(step, OfferStep) and "refund" in step.choices:
                needed.append("refund")
            for name in needed:
                if name and name not in self._takes:
                    self._report(
                        (*at, index), f"{_kind(step)} needs shop.{name}_url",
                        "name it in monitor.yaml, or keep dry_run: true",
                    )  # fmt: skip

    def _check_order(self, levels: list[Playbook]) -> None:
        for index, (one, other) in enumerate(pairwise(levels)):
            for name, get in _CONDITIONS:
                earlier, later = get(one), get(other)
                if earlier is not None and later is not None and later <= earlier:
                    field = name.removesuffix("_ms")
                    at: YamlPath = ("playbooks", index + 1, "when", field)
                    self._report(
                        at, f"{one.name} would never be reached: {other.name} is not later"
                    )

    def _check_end(self, levels: list[Playbook]) -> None:
        """Whoever is still waiting at the end has a resolution coming, or a person."""
        if not levels:
            return
        last, at = levels[-1], ("playbooks", len(levels) - 1)
        if last.tier is None and last.age_ms is None:
            message = f"{last.name} is last and rests on a prediction alone: some never reach it"
            self._report((*at, "when"), message, "add tier or age")
        if not any(_is_end(step, last) for step in last.steps):
            self._report(
                (*at, "do"),
                f"{last.name} is last and ends neither in a resolution nor with a person",
                "add page, task, refund, or an offer whose default is refund or alternative",
            )

    def _report(self, at: YamlPath, message: str, hint: str = "") -> None:
        self.problems.append(Problem(self._path, *self._positions.at(at), message, hint))


def _is_end(step: Step, level: Playbook) -> bool:
    match step:
        case PageStep() | TaskStep():
            return True
        case RefundStep():
            return level.on_failure == "escalate"
        case OfferStep():
            return step.default != "wait" and level.on_failure == "escalate"
        case _:
            return False


def _kind(step: Step) -> str:
    return str(type(step).__struct_config__.tag)


_CONDITIONS: tuple[tuple[str, Callable[[Playbook], int | None]], ...] = (
    ("age_ms", lambda level: level.age_ms),
    ("tier", lambda level: level.tier),
)
