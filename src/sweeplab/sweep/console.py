"""What the user sees of a sweep: a live table on a terminal, a line a trial in a log."""

import logging
import shlex
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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
from sweeplab.records.names import clock, short_keys, short_path
from sweeplab.records.record import Status, is_run
from sweeplab.secrets import HIDDEN, masked
from sweeplab.sweep.active import Active
from sweeplab.sweep.job import Outcome
from sweeplab.sweep.results import Summary
from sweeplab.sweep.spec import SweepSpec, single_run
from sweeplab.sweep.study.trials import folder_of

CUT = "..."
OTHER_LINES = 3  # of the table besides its trials: the headline, the names of the columns, how many are not shown


class ProgressTable:
    """Shows a sweep while it runs, and writes the same lines to `sweep.log`."""

    def __init__(self, spec: SweepSpec, before: Summary) -> None:
        self._spec, self._slots, self._nodes, self._total = spec, 0, 0, before.total
        self._counts = Counter(before.endings)
        self._best = (before.best[0].number, before.best[0].values[0]) if before.best else None
        self._running: dict[int, tuple[Active, float | None, int | None]] = {}
        self._node_of: dict[int, str] = {}
        self._use: float | None = None
        self._mute = False
        self._busy, self._ended = 0.0, 0
        self._words = short_keys(spec.space.keys)
        self._console = Console(highlight=False, soft_wrap=True)
        self._live = Live(console=self._console, refresh_per_second=4, transient=True, get_renderable=self._render)
        self._log = logging.FileHandler(spec.folder / StudyFile.LOG, encoding="utf-8", delay=True)
        self._log.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        self._streams: dict[logging.StreamHandler[Any], Any] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._streams = {handler: handler.stream for handler in _handlers_of((sys.stdout, sys.stderr))}
            self._live.start()
            for handler in self._streams:  # what others log comes above the table, as what they print does
                handler.setStream(sys.stdout)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close_table()
        self._log.close()

    def close_table(self) -> None:
        """Take the table away; lines can still be printed."""
        self._live.stop()
        for handler, stream in self._streams.items():
            handler.setStream(stream)
        self._streams = {}

    def print(self, text: str, parameters: str = "") -> None:
        """Show a line, and log it. A terminal shows as much of the parameters as the line has room for."""
        text, line = masked(text), masked(f"{text}  {parameters}" if parameters else text)
        room, shown = self._console.width, line
        if parameters and self._console.is_terminal and len(line) > room:
            shown = text if len(text) > room - len(CUT) else line[: room - len(CUT)] + CUT
        if not self._mute:
            try:
                self._console.print(shown, markup=False)
            except (OSError, UnicodeEncodeError, SystemExit):  # nobody reads on; rich makes an exit of a broken pipe
                self._mute = True
        self._log.emit(logging.LogRecord("sweep", logging.INFO, "", 0, line, None, None))

    def started(self, active: Active) -> None:
        """Add a trial to the table."""
        self._running[active.number] = (active, None, None)

    def placed(self, active: Active, node: str) -> None:
        """Remember on which node the latest run of a trial is; nothing for this machine."""
        self._node_of[active.number] = node

    def reported(self, active: Active, value: float, step: int) -> None:
        """Show how a trial stands."""
        self._running[active.number] = (active, value, step)

    def ended(self, active: Active, outcome: Outcome, counts: bool) -> None:
        """Write the line of a trial, and take it from the table."""
        _, value, step = self._running.pop(active.number)
        self._node_of.pop(active.number, None)
        self._busy += outcome.seconds
        self._ended += 1
        if counts:
            self._counts[str(outcome.status)] += 1
        self.print(self._line(active, outcome, counts, value, step), brief(active.values, self._words))

    def tick(self, slots: int, use: float | None, nodes: int = 0) -> None:
        """Remember the slots, their use and the nodes that have them; the table refreshes itself."""
        self._slots, self._use, self._nodes = slots, use, nodes

    def _line(self, active: Active, outcome: Outcome, counts: bool, value: float | None, step: int | None) -> str:
        objectives = self._spec.objectives
        parts = [f"#{active.number}"]
        if outcome.status is Status.COMPLETE and outcome.values is None:
            parts.append(str(outcome.status))
        elif outcome.status is Status.COMPLETE:
            assert outcome.values is not None
            parts += [f"{o.metric} {v:.4g}" for o, v in zip(objectives, outcome.values, strict=True)]
            if len(objectives) == 1 and all(broken <= 0 for broken in outcome.constraints.values()):
                parts.append(self._standing(active.number, outcome.values[0]))
        elif outcome.status is Status.PRUNED:
            best, last = (outcome.values or (None,))[0], "" if step is None else f" at step {step}"
            value = value if best is None else best
            parts.append(f"pruned{last}" + ("" if value is None else f", {objectives[0].metric} {value:.4g}"))
        else:
            parts.append(f"{str(outcome.status).upper()}: {outcome.reason}")
            parts += [] if counts else ["goes on later"]
            log = self._spec.folder_of(active.number) / RunFile.OUTPUT
            if outcome.status is Status.FAILED and log.exists():
                parts.append(f"see {short_path(log)}")
        return "  ".join([*parts, f"{outcome.seconds:.1f}s"])

    def _standing(self, number: int, value: float) -> str:
        if self._best is None or self._spec.objectives[0].better(value, self._best[1]):
            self._best = (number, value)
            return "(best so far)"
        return f"(best {self._best[1]:.4g}, #{self._best[0]})"

    def _render(self) -> Table:
        outer = Table.grid()
        outer.add_row(Text(self._headline(), style="bold"))
        table = Table(box=None, pad_edge=False, header_style="dim")
        where = ("node",) if self._nodes else ()
        for column in ("trial", *where, "step", self._spec.objectives[0].metric, "seconds", "parameters"):
            table.add_column(column, overflow="ellipsis", no_wrap=True)
        running, rows = list(self._running.items()), max(1, self._console.height - OTHER_LINES)
        for number, (active, value, step) in running[:rows]:
            latest = "" if value is None else f"{value:.4g}"
            seconds = f"{time.monotonic() - active.started:.0f}"
            node = (self._node_of.get(number, ""),) if where else ()
            table.add_row(f"#{number}", *node, str(step or ""), latest, seconds, brief(active.values, self._words))
        outer.add_row(table)
        if (more := len(running) - rows) > 0:
            outer.add_row(Text(f"and {more} more", style="dim"))
        return outer

    def _headline(self) -> str:
        ended = self._counts.total()
        parts = [f"{self._spec.name}: {_trials(ended, self._total)}"]
        if self._best and len(self._spec.objectives) == 1:
            parts.append(f"best {self._best[1]:.4g} (#{self._best[0]})")
        parts += [f"{count} {status}" for status, count in sorted(self._counts.items()) if status != Status.COMPLETE]
        if self._use is not None:
            nodes = f" on {plural(self._nodes, 'node')}" if self._nodes else ""
            parts.append(f"{plural(self._slots, 'slot')}{nodes} {self._use:.0%} in use")
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
        objectives = ", ".join(f"{o.metric} {v:.4g}" for o, v in zip(spec.objectives, trial.values, strict=True))
        lines.append(f"Best: #{trial.number}  {objectives}  {brief(values, short_keys(spec.space.keys))}".rstrip())
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


def brief(values: Mapping[str, Any], words: Mapping[str, str]) -> str:
    """Return values under short words for their keys, numbers to four digits."""
    named = {words.get(key, key): value for key, value in values.items()}  # a program's own space names its keys late
    parts = (f"{word}={f'{v:.4g}' if isinstance(v, float) else v}" for word, v in named.items())
    return "  ".join(parts)


def _handlers_of(streams: Sequence[Any]) -> Iterator[logging.StreamHandler[Any]]:
    """Find what writes the log to one of these streams."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream in streams:
            yield handler
