"""Who does which point: an Optuna study in a storage that many processes and machines share.

Optuna's own GridSampler may hand one point to two processes, and never again hands out the point of a process that
died; taking an enqueued trial is not atomic on SQLite. What is atomic in every storage is making a trial, which gets
the next number. So a process takes a point by making a trial that says so, and the lowest number of a point owns it;
who comes second gives his trial up. A trial's state is its story:

    RUNNING     being done, with a sign of life every few seconds
    COMPLETE    trained and measured
    PRUNED      trained until its loss was not finite any more: a result as well
    FAIL        given up (stopped, died, came second); its point is free again
"""

import json
import os
import platform
import threading
import time
import uuid
from pathlib import Path

import optuna
from optuna.trial import TrialState

from ..errors import StudyError
from .definition import as_json, difference

BEAT_S, PATIENCE_S = 10.0, 90.0  # a sign of life every; how long a running trial may show none


def open_storage(where):
    """A database URL, or the path of a journal file (made if it is not there) -> an Optuna storage."""
    where = str(where)
    for attempt in range(3):
        try:
            return _database(where) if "://" in where else _journal(where)
        except Exception as error:  # a database driver raises what it likes
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            if attempt == 2 or "://" not in where:
                raise StudyError(
                    f"--storage {where} cannot be opened as a journal file or database: {reason}"
                ) from error
            time.sleep(0.5)  # two processes that make its tables at once: one of them fails, the first time


def _database(url):
    arguments = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {}
    return optuna.storages.RDBStorage(url, engine_kwargs=arguments)


def _journal(path):
    content = Path(path).read_bytes() if Path(path).is_file() else b""
    if content and not content.endswith(b"\n"):
        raise ValueError("its last line is cut off, as by a full disk: delete that line")
    return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(path))


def open_study(definition, where):
    """Definition and storage -> its Optuna study, made if it is new; raises StudyError where it is another's."""
    storage, mine = open_storage(where), as_json(definition)
    others = [name for name in optuna.get_all_study_names(storage) if name != definition.name]
    if others and "://" not in str(where):
        raise StudyError(f"{where} is the storage of study '{others[0]}', not of '{definition.name}': name another")
    study = optuna.create_study(
        storage=storage,
        study_name=definition.name,
        load_if_exists=True,
        direction="maximize" if definition.maximise else "minimize",
        sampler=optuna.samplers.RandomSampler(seed=0),  # draws nothing: `draw` seeds a sampler for each trial
    )
    stored = study.user_attrs.get("definition")
    if stored is None:
        study.set_user_attr("definition", mine)
    elif stored != mine:
        name, theirs, ours = difference(stored, mine)
        raise StudyError(
            f"{where} is the storage of another study '{definition.name}': its {name} is {json.dumps(theirs)}, "
            f"the file's is {json.dumps(ours)}; name another --out or --storage, or take the file as it was"
        )
    return study


def key(point):
    return json.dumps(point, sort_keys=True)


def living(study):
    """The trials that were not given up, oldest first."""
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state != TrialState.FAIL]


def finished(study):
    """The trials that have a result, oldest first."""
    return [trial for trial in living(study) if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]


def take(study, definition):
    """-> a trial that is this process's own, with its point in user_attrs; None where there is nothing to take."""
    return draw(study, definition) if definition.search else claim_any(study, definition)


def claim_any(study, definition):
    """Claim the points that no living trial has, in order, until one is this process's own."""
    while True:
        taken = {key(trial.user_attrs["point"]) for trial in living(study)}
        free = [point for point in definition.points() if key(point) not in taken]
        if not free:
            return None
        trial = claim(study, definition, free[0])
        if trial is not None:
            return trial


def claim(study, definition, point):
    """Make a trial of a point -> the trial; None, and it is given up, where an older one has the point."""
    token, axes = uuid.uuid4().hex, definition.axes()
    created = optuna.create_trial(
        state=TrialState.RUNNING,
        params={name: encode(value) for name, value in point.items()},
        distributions={name: choices(axes[name]) for name in point},
        user_attrs={"point": point, "by": token},
    )
    study.add_trial(created)
    same = [trial for trial in living(study) if key(trial.user_attrs["point"]) == key(point)]
    mine = next(trial for trial in same if trial.user_attrs["by"] == token)
    if same[0].number < mine.number:
        give_up(study, mine.number)
        return None
    return optuna.Trial(study, mine._trial_id)


def encode(value):
    """A value of an axis -> what Optuna stores; lists become text."""
    return json.dumps(value) if isinstance(value, list) else value


def choices(values):
    return optuna.distributions.CategoricalDistribution([encode(value) for value in values])


def draw(study, definition):
    """Let Optuna draw the next point of a search; None where it has all its trials, here or elsewhere."""
    if len(living(study)) >= definition.trials:
        return None
    trial = study.ask()
    if sum(other.number < trial.number for other in living(study)) >= definition.trials:
        give_up(study, trial.number)
        return None
    seed = definition.settings.get("seed", 0) * 1_000_003 + trial.number
    study.sampler = optuna.samplers.TPESampler(seed=seed % 2**32, multivariate=False)
    trial.set_user_attr("point", {name: suggest(trial, name, values) for name, values in definition.search.items()})
    return trial


def suggest(trial, name, values):
    """Optuna's value of one axis of a search, as the definition writes it."""
    if isinstance(values, list):
        chosen = trial.suggest_categorical(name, [encode(value) for value in values])
        return next(value for value in values if encode(value) == chosen and type(encode(value)) is type(chosen))
    low, high, log = values["low"], values["high"], values.get("log", False)
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(name, low, high, step=values.get("step", 1), log=log)
    return trial.suggest_float(name, low, high, step=values.get("step"), log=log)


def give_up(study, number):
    """Mark a trial as given up; nothing happens where it has ended already."""
    study.tell(number, state=TrialState.FAIL, skip_if_finished=True)


class Watch:
    """Which running trials show no sign of life: those whose last one has stayed the same for a while, by this
    process's own clock, so that machines need not agree on the time."""

    def __init__(self, patience_s=PATIENCE_S):
        self.patience_s, self.seen = patience_s, {}

    def dead(self, study):
        """Numbers of the trials that are taken to have died."""
        now = time.monotonic()
        running = [trial for trial in living(study) if trial.state == TrialState.RUNNING]
        for trial in running:
            beat = trial.user_attrs.get("beat")
            if self.seen.get(trial.number, (None, 0))[0] != (beat,):
                self.seen[trial.number] = ((beat,), now)
        return [trial.number for trial in running if now - self.seen[trial.number][1] > self.patience_s]


class Alive:
    """Context: shows that a trial is being worked on, from a thread of its own."""

    def __init__(self, trial, interval_s=BEAT_S):
        self.trial, self.interval_s, self.ended = trial, interval_s, threading.Event()
        self.thread = threading.Thread(target=self.beat, daemon=True)

    def beat(self):
        count = 0
        while not self.ended.wait(self.interval_s):
            count += 1
            try:
                self.trial.set_user_attr("beat", f"{platform.node()}:{os.getpid()}:{count}")
            except (RuntimeError, OSError, optuna.exceptions.OptunaError):  # given up by another, or storage is away
                continue

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.ended.set()
        self.thread.join()


def work(study, definition, measure, say, watch=None, beat_s=BEAT_S):
    """Take and do points until every one is done, here or elsewhere; what died elsewhere is done again.

    measure: point -> {figure: number}, or a text where training diverged; say: takes a line of progress.
    """
    watch, waited = watch or Watch(), False
    while True:
        trial = take(study, definition)
        if trial is not None:
            waited = False
            do(study, definition, trial, measure, say, beat_s)
            continue
        for number in watch.dead(study):
            say(f"trial {number} shows no sign of life: its point is done again")
            give_up(study, number)
        running = [trial for trial in living(study) if trial.state == TrialState.RUNNING]
        if running and not waited:
            say(f"waiting for trials that run elsewhere: {', '.join(str(trial.number) for trial in running)}")
        if not running and not unfinished(study, definition):
            return
        waited = True
        time.sleep(min(beat_s, watch.patience_s / 4) if running else 0)


def unfinished(study, definition):
    """How many points have no result yet."""
    return (definition.trials or len(definition.points())) - len(finished(study))


def do(study, definition, trial, measure, say, beat_s):
    """One trial: measure its point, tell what came out. A trial that anything stops is given up, not lost."""
    point, began = trial.user_attrs["point"], time.perf_counter()
    try:
        with Alive(trial, beat_s):
            found = measure(point)
        trial.set_user_attr("seconds", round(time.perf_counter() - began, 1))
        trial.set_user_attr("host", platform.node())
        if isinstance(found, str):
            trial.set_user_attr("diverged", found)
            study.tell(trial, state=TrialState.PRUNED)
        else:
            trial.set_user_attr("figures", found)
            study.tell(trial, objective(found, definition))
    except optuna.exceptions.UpdateFinishedTrialError:
        say(f"trial {trial.number} was given up by another process, which took this one for dead")
        return
    except BaseException:
        give_up(study, trial.number)
        raise
    left = unfinished(study, definition)
    say(f"trial {trial.number} in {trial.user_attrs['seconds']} s: {told(found, definition)}; {left} to go")


def objective(found, definition):
    """The number that a search goes by; a grid goes by none and may lack it."""
    value = found.get(definition.figures[0])
    if value is None and definition.search:
        raise StudyError(f"'{definition.figures[0]}' of study '{definition.name}' cannot be measured of such a model")
    return 0.0 if value is None else value


def told(found, definition):
    if isinstance(found, str):
        return f"diverged ({found})"
    return ", ".join(f"{name} {found[name]:.4g}" for name in definition.figures if found.get(name) is not None)
