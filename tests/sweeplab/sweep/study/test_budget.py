import random

from optuna.trial import FrozenTrial, TrialState, create_trial

from sweeplab.sweep.study.budget import Budget
from sweeplab.sweep.study.trials import NOT_COUNTED, REPLACES, counted

FOLLOWING = {
    TrialState.WAITING: [TrialState.RUNNING],
    TrialState.RUNNING: [TrialState.WAITING, TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL],
}


def numbered(number: int, state: TrialState) -> FrozenTrial:
    trial = create_trial(state=TrialState.RUNNING)
    trial.number, trial.state = number, state
    return trial


def test_what_is_spent_is_what_counts_however_a_study_grows() -> None:
    draw, budget, trials = random.Random(0), Budget(), list[FrozenTrial]()
    spent = []
    for _ in range(300):
        for trial in draw.sample(trials, min(len(trials), 20)):
            if trial.state in FOLLOWING:
                trial.state = draw.choice(FOLLOWING[trial.state])
                if trial.state is TrialState.FAIL and draw.random() < 0.3:
                    trial.user_attrs = {**trial.user_attrs, NOT_COUNTED: True}
        new = numbered(len(trials), draw.choice(list(FOLLOWING)))
        if failed := [trial.number for trial in trials if trial.state is TrialState.FAIL]:
            new.user_attrs = {REPLACES: draw.choice(failed)} if draw.random() < 0.2 else {}
        trials.append(new)
        spent.append(budget.spent(trials))
        assert spent[-1] == len(counted(trials))
    assert spent[-1] > 100
