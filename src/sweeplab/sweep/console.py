"""What the user sees of a sweep: a live table on a terminal, a line a trial in a log."""

import logging
import shlex
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from optuna.trial import FrozenTrial
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sweeplab.compare.table import plural
from sweeplab.records import provenance
from sweeplab.records.layout import RunFile, StudyFile
from sweeplab.records.names import clock, short_path
from sweeplab.records.record import Status, is_run
from sweeplab.secrets import HIDDEN, masked
from sweeplab.sweep.active import Active
from sweeplab.sweep.job import Outcome
from sweeplab.sweep.results import Summary
from sweeplab.sweep.spec import SweepSpec, single_run
from sweeplab.sweep.study.trials import folder_of


class ProgressTable:
    """Shows a sweep while it runs, and writes the same lines to `sweep.log`."""

    def __init__(self, spec: SweepSpec, before: Summary) -> None:
        self._spec, self._slots, self._total = spec, 0, before.total
        self._counts = Counter(before.endings)
        self._best = (before.best[0].number, before.best[0].values[0]) if before.best else None
        self._running: dict[int, tuple[Active, float | None, int | None]] = {}
        self._use: float | None = None
        self._mute = False
        self._busy, self._ended = 0.0, 0
        self._console = Console(highlight=False, soft_wrap=True)
        self._live = Live(console=self._console, refresh_per_second=4, transient=True, get_renderable=self._render)
        self._log = logging.FileHandler(spec.folder / StudyFile.LOG, encoding="utf-8", delay=True)
        self._log.setFormatter(logging.Formatter("%(asctime)s %(message)s"))

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._live.stop()
        self._log.close()

    def print(self, text: str) -> None:
        """Show a line, and log it."""
        text = masked(text)
        if not self._mute:
            try:
                self._console.print(text, markup=False)
            except (OSError, UnicodeEncodeError, SystemExit):  # nobody reads on; rich makes an exit of a broken pipe
                self._mute = True
        self._log.emit(logging.LogRecord("sweep", logging.INFO, "", 0, text, None, None))

    def started(self, active: Active) -> None:
        """Add a trial to the table."""
        self._running[active.number] = (active, None, None)

    def reported(self, active: Active, value: float, step: int) -> None:
        """Show how a trial stands."""
        self._running[active.number] = (active, value, step)

    def ended(self, active: Active, outcome: Outcome, counts: bool) -> None:
        """Write the line of a trial, and take it from the table."""
        _, value, step = self._running.pop(active.number)
        self._busy += outcome.seconds
        self._ended += 1
        if counts:
            self._counts[str(outcome.status)] += 1
        self.print(self._line(active, outcome, counts, value, step))

    def tick(self, slots: int, use: float | None) -> None:
        """Remember the slots and their use; the table refreshes itself."""
        self._slots, self._use = slots, use

    def _line(self, active: Active, outcome: Outcome, counts: bool, value: float | None, step: int | None) -> str:
        objectives = self._spec.objectives
        parts = [f"#{active.number}"]
        if outcome.status is Status.COMPLETE and outcome.values is None:
            parts.append(str(outcome.status))
        elif outcome.status is Status.COMPLETE:
            assert outcome.values is not None
            parts += [f"{o.metric} {v:.6g}" for o, v in zip(objectives, outcome.values, strict=True)]
            if len(objectives) == 1 and all(broken <= 0 for broken in outcome.constraints.values()):
                parts.append(self._standing(active.number, outcome.values[0]))
        elif outcome.status is Status.PRUNED:
            best, last = (outcome.values or (None,))[0], "" if step is None else f" at step {step}"
            value = value if best is None else best
            parts.append(f"pruned{last}" + ("" if value is None else f", {objectives[0].metric} {value:.6g}"))
        else:
            parts.append(f"{str(outcome.status).upper()}: {outcome.reason}")
            parts += [] if counts else ["goes on later"]
            log = self._spec.folder_of(active.number) / RunFile.OUTPUT
            if outcome.status is Status.FAILED and log.exists():
                parts.append(f"see {short_path(log)}")
        return "  ".join([*parts, f"{outcome.seconds:.1f}s", *self._spec.space.overrides(active.values)])

    def _standing(self, number: int, value: float) -> str:
        if self._best is None or self._spec.objectives[0].better(value, self._best[1]):
            self._best = (number, value)
            return "(best so far)"
        return f"(best {self._best[1]:.6g}, #{self._best[0]})"

    def _render(self) -> Table:
        outer = Table.grid()
        outer.add_row(Text(self._headline(), style="bold"))
        table = Table(box=None, pad_edge=False, header_style="dim")
        for column in ("trial", "step", self._spec.objectives[0].metric, "seconds", "parameters"):
            table.add_column(column, overflow="ellipsis", no_wrap=True)
        for number, (active, value, step) in list(self._running.items()):
            latest = "" if value is None else f"{value:.5g}"
            seconds = f"{time.monotonic() - active.started:.0f}"
            parameters = " ".join(_brief(active.values))
            table.add_row(f"#{number}", str(step or ""), latest, seconds, parameters)
        outer.add_row(table)
        return outer

    def _headline(self) -> str:
        ended = self._counts.total()
        parts = [f"{self._spec.name}: {_trials(ended, self._total)}"]
        if self._best and len(self._spec.objectives) == 1:
            parts.append(f"best {self._best[1]:.6g} (#{self._best[0]})")
        parts += [f"{count} {status}" for status, count in sorted(self._counts.items()) if status != Status.COMPLETE]
        if self._use is not None:
            parts.append(f"{self._slots} slots {self._use:.0%} in use")
        if self._total is not None and self._ended and self._slots:
            left = self._busy / self._ended * max(0, self._total - ended) / self._slots
            parts.append(f"{clock(left)} left")
        return ", ".join(parts)


def greeting(
    spec: SweepSpec, before: Summary, slots: int, recovered: int, retried: int, extended: Sequence[str]
) -> str:
    """Return the first message: where the sweep stands, and what became of trials and of its space meanwhile."""
    ended, where = _trials(before.endings.total(), before.total), short_path(spec.folder)
    parts = [f"{spec.name}: {ended} finished, {f'{slots} at a time' if slots else 'on a cluster'}, in {where}"]
    if recovered:
        parts.append(f"{plural(recovered, 'trial')} of a dead controller recovered")
    if retried:
        parts.append(f"{plural(retried, 'failed trial')} run again")
    if extended:
        parts.append(f"extended: {'; '.join(extended)}")
    return "; ".join(parts)


def closing(spec: SweepSpec, summary: Summary, seconds: float) -> str:
    """Return the last message: what came out, what is best, and what to do with it."""
    counts = ", ".join(f"{count} {status}" for status, count in sorted(summary.endings.items()))
    use = "" if summary.use is None else f"; the slots were {summary.use:.0%} in use"
    lines = [f"{spec.name}: {counts or 'no trial ended'}, in {clock(seconds)}{use}."]
    if summary.running:
        lines.append(f"Still running elsewhere: {plural(summary.running, 'trial')}.")
    if summary.stopped:
        end = "" if summary.stopped.endswith((".", "?")) else "."
        lines += [f"Stopped: {summary.stopped}{end}", f"To resume: {spec.resume_command}{_hint(spec.resume_command)}"]
    elif summary.total is not None and (ended := summary.endings.total()) + summary.running < summary.total:
        lines.append(f"{_trials(ended, summary.total)} finished: there is no further point to try.")
    for trial in summary.best:
        values = spec.space.values(trial.params)
        objectives = ", ".join(f"{o.metric} {v:.6g}" for o, v in zip(spec.objectives, trial.values, strict=True))
        lines.append(f"Best: #{trial.number}  {objectives}  {' '.join(spec.space.overrides(values))}")
        if folder := folder_of(trial, spec.folder):
            lines.append(f"  its folder      {short_path(folder)}")
        lines.append(f"  to run it again {_again(spec, summary, trial)}")
    if not summary.best and summary.endings[Status.COMPLETE] == 0:
        lines.append("No trial has a value.")
    lines.append(f"All trials: {short_path(spec.folder / StudyFile.TRIALS)}")
    return "\n".join([*lines, *_comparing(spec)])


def _trials(ended: int, total: int | None) -> str:
    return plural(ended, "trial") if total is None else f"{ended} of {plural(total, 'trial')}"


def _hint(command: str) -> str:
    """Say what to write for a password that is masked."""
    return f"  ({HIDDEN} stands for the password, which is not stored)" if HIDDEN in command else ""


def _comparing(spec: SweepSpec) -> list[str]:
    """Say how the trials are compared: by the program's neighbour, and on the page that a listener left."""
    program, page = Path(spec.task.script).with_name("compare.py"), spec.folder / StudyFile.REPORT
    command = shlex.join(["python", short_path(program), short_path(spec.folder)])
    lines = {program: f"Compare them: {command}", page: f"On one page: {short_path(page)}"}
    return [line for path, line in lines.items() if path.exists()]


def _again(spec: SweepSpec, summary: Summary, trial: FrozenTrial) -> str:
    """Return the command that runs a trial again: from its folder where the program can, which is exact."""
    folder = (folder_of(trial, spec.folder) or spec.folder) / ("0" if spec.settings.repeats > 1 else "")
    if spec.settings.rerun_key and is_run(folder):
        return shlex.join([*provenance.words(), f"{spec.settings.rerun_key}={short_path(folder)}"])
    return single_run(summary.rerun_overrides[trial.number])


def _brief(values: Mapping[str, Any]) -> list[str]:
    return [f"{key.rpartition('.')[2]}={f'{v:.4g}' if isinstance(v, float) else v}" for key, v in values.items()]
