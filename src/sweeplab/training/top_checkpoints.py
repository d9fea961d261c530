"""The checkpoints that a sweep keeps: those of its best trials."""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from sweeplab.compare.pareto import unbeaten
from sweeplab.errors import UserError
from sweeplab.records import record
from sweeplab.records.layout import RunFile
from sweeplab.records.objective import Objective
from sweeplab.records.record import Status
from sweeplab.sweep.listener import Listener, Summary, SweepInfo


class TopCheckpoints(Listener):
    """Removes the checkpoints of trials that are done and not among the `keep` best by the first objective.

    With several objectives all that no other trial beats keep theirs too; `keep=None` removes nothing. Trials that
    failed, were killed, timed out or were interrupted keep theirs: they are needed to find out why. So do runs that
    somebody went on with by hand. Nothing outside the sweep's folder is touched, and no link is followed.
    """

    def __init__(self, keep: int | None = None) -> None:
        if keep is not None and (isinstance(keep, bool) or not isinstance(keep, int) or keep < 1):
            raise UserError(f"keep={keep} must be a whole number from 1, or null to keep all.")
        self.keep = keep
        self._kept: list[FrozenTrial] = []
        self._sweep: SweepInfo | None = None

    def sweep_started(self, sweep: SweepInfo, before: Summary, is_only_controller: bool) -> None:
        """Judge the trials of earlier commands."""
        self._sweep = sweep
        self._judge(before.trials)

    def trial_told(self, trial: FrozenTrial, counts: bool) -> None:
        """Judge a trial among those that were kept so far: what lost to others before, loses to them still."""
        self._judge([*self._kept, trial])

    def sweep_ended(self, sweep: SweepInfo, summary: Summary) -> None:
        """Judge all trials, also those that other controllers ran meanwhile."""
        self._judge(summary.trials)

    def _judge(self, trials: Sequence[FrozenTrial]) -> None:
        if self._sweep is None or self.keep is None:
            return
        complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
        self._kept = best(complete, self._sweep.objectives, self.keep)
        numbers = {trial.number for trial in self._kept}
        for trial in trials:
            if trial.state in (TrialState.COMPLETE, TrialState.PRUNED) and trial.number not in numbers:
                for run in _runs(self._sweep, trial):
                    _remove_checkpoints(self._sweep.folder, run)


def best(trials: Iterable[FrozenTrial], objectives: Sequence[Objective], keep: int) -> list[FrozenTrial]:
    """Return the `keep` best trials by the first objective, the earlier of equals, and all that no other one beats.

    A trial that breaks a constraint comes behind all that break none.
    """

    def ranks(trial: FrozenTrial) -> list[float]:
        return [objective.rank(value) for objective, value in zip(objectives, trial.values, strict=True)]

    def breaks(trial: FrozenTrial) -> bool:
        return any(value > 0 for value in trial.constraints.values())

    ordered = sorted(trials, key=lambda trial: (breaks(trial), ranks(trial), trial.number))
    whole = [trial for trial in ordered if not breaks(trial)] if len(objectives) > 1 else []
    front = [whole[index] for index in unbeaten([ranks(trial) for trial in whole])]
    return list({trial.number: trial for trial in [*ordered[:keep], *front]}.values())


def _runs(sweep: SweepInfo, trial: FrozenTrial) -> Iterator[Path]:
    """Find the folders of a trial's runs, one a repeat, that are over; none where it was run in another place."""
    folder = sweep.folder_of(trial)
    if folder is None or not folder.is_relative_to(sweep.folder):
        return
    for run in (folder, *folder.glob("[0-9]*")):
        if (facts := record.as_left(run)) is not None:
            # Another machine may have such a folder too, with a run of another study.
            lease = trial.user_attrs.get("lease", {})
            on_cluster = bool(lease.get("silence"))  # whose nodes share the folder
            is_of_trial = on_cluster or facts["process"]["host"] == lease.get("host")
            by_hand = len(facts.get("attempts") or ()) > (facts.get("trial") or {}).get("attempt", 0)
            if is_of_trial and facts["status"] in (Status.COMPLETE, Status.PRUNED) and not by_hand:
                yield run


def _remove_checkpoints(study: Path, run: Path) -> None:
    checkpoints = run / RunFile.CHECKPOINTS
    is_linked = checkpoints.resolve() != study.resolve() / checkpoints.relative_to(study)
    if checkpoints.is_dir() and not is_linked:
        record.drop_checkpoints(run)  # first: a record that promises checkpoints is worse than a rest of them
        shutil.rmtree(checkpoints)
