"""Sharing the points of a study: each is done once, by whoever takes it; what died is done again."""

import collections
import json
import multiprocessing
import time
import warnings

import pytest
from latentjet.train.errors import StudyError
from latentjet.train.study import definition, trials

AXES = {"latent": [2, 5], "lr": [0.1, 0.01, 0.001], "seed": [0, 1]}
GRID = {"settings": {"family": "vae"}, "grid": [AXES]}
SEARCH = {
    "settings": {"family": "vae"},
    "search": {"lr": {"low": 1e-4, "high": 1e-1, "log": True}, "latent": {"low": 2, "high": 9}, "form": ["mlp", "conv"]},
    "trials": 14,
}
LISTS = {"settings": {"family": "realnvp"}, "grid": [{"width": [[8, 8], [16, 8]], "unconditional": [True, False]}]}
@pytest.fixture(params=["journal", "sqlite"])
def storage(request, tmp_path):
    return tmp_path / "journal.log" if request.param == "journal" else f"sqlite:///{tmp_path}/study.db"


def worker(where, log, seconds):
    """What a process does: works on the grid and writes each point that it begins to a log."""

    def measure(point):
        with open(log, "a") as file:
            file.write(key(point) + "\n")
        time.sleep(seconds)
        return {"validation": 1.0}

    work(GRID, where, measure, patience_s=60)


@pytest.fixture
def start():
    """(storage, log, seconds a point) -> a process that works on the grid; forked, since importing takes longer."""
    started = []

    def run(*arguments):
        started.append(multiprocessing.get_context("fork").Process(target=worker, args=arguments))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # newer versions warn of forking beside threads
            started[-1].start()
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.join()


def work(content, where, measure, patience_s=5.0, say=lambda line: None):
    mine = definition.check("mine", content)
    study = trials.open_study(mine, where)
    trials.work(study, mine, measure, say, trials.Watch(patience_s), beat_s=0.02)
    return study


def key(point):
    return json.dumps(point, sort_keys=True)


def points_of(study):
    return collections.Counter(key(trial.user_attrs["point"]) for trial in trials.finished(study))


def grid(content=GRID):
    return collections.Counter(key(point) for point in definition.check("mine", content).points())


@pytest.mark.parametrize("content", [GRID, LISTS])
def test_every_point_is_done_once(content, storage):
    seen = collections.Counter()

    def measure(point):
        seen[key(point)] += 1
        return {"validation": len(seen)}

    study = work(content, storage, measure)
    assert seen == grid(content)
    assert points_of(study) == seen
    assert [trial.value for trial in trials.finished(study)] == [*range(1, len(seen) + 1)]


def test_a_finished_study_stays_as_it_is(tmp_path):
    study = work(GRID, tmp_path / "journal.log", lambda point: {"validation": 1.0})
    work(GRID, tmp_path / "journal.log", lambda point: pytest.fail("a point was done twice"))
    assert len(study.trials) == len(grid())


def test_two_processes_share_a_storage_and_do_no_point_twice(start, storage, tmp_path):
    log = tmp_path / "log"
    processes = [start(storage, log, 0.05) for _ in range(2)]
    for process in processes:
        process.join(100)
        assert process.exitcode == 0
    assert collections.Counter(log.read_text().splitlines()) == grid()


def test_who_comes_second_gives_the_point_up(storage):
    mine = definition.check("mine", GRID)
    study, point = trials.open_study(mine, storage), mine.points()[0]
    assert trials.claim(study, mine, point).user_attrs["point"] == point
    other = trials.open_study(mine, storage)
    assert trials.claim(other, mine, point) is None
    assert [trial.number for trial in trials.living(other)] == [0]
    assert trials.take(other, mine).user_attrs["point"] == mine.points()[1]
    trials.give_up(study, 0)
    assert trials.take(other, mine).user_attrs["point"] == point


def test_a_killed_process_loses_nothing(start, tmp_path):
    where, log = tmp_path / "journal.log", tmp_path / "log"
    process = start(where, log, 0.2)
    deadline = time.monotonic() + 100
    while not log.exists() or len(log.read_text().splitlines()) < 3:
        assert process.is_alive() and time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.join()
    before, after, said = log.read_text().splitlines(), [], []
    study = work(GRID, where, lambda point: after.append(key(point)) or {"validation": 1.0}, 0.3, said.append)
    assert points_of(study) == grid()
    assert collections.Counter(before[:-1] + after) == grid()  # the last one before was not finished
    assert any("shows no sign of life: its point is done again" in line for line in said)


def test_a_point_that_is_interrupted_is_done_again(tmp_path):
    def interrupted(point):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work(GRID, tmp_path / "journal.log", interrupted)
    done = []
    study = work(GRID, tmp_path / "journal.log", lambda point: done.append(key(point)) or {"validation": 1.0})
    assert points_of(study) == collections.Counter(done) == grid()


def test_a_living_process_is_not_taken_for_dead(tmp_path):
    mine = definition.check("mine", GRID)
    study = trials.open_study(mine, tmp_path / "journal.log")
    watch, trial = trials.Watch(0.3), trials.take(study, mine)
    with trials.Alive(trial, 0.05):
        for _ in range(10):
            assert watch.dead(study) == []
            time.sleep(0.05)
    watch.dead(study)
    time.sleep(0.4)
    assert watch.dead(study) == [trial.number]


def test_who_was_taken_for_dead_does_not_overwrite_who_did_it_again(tmp_path):
    where, said = tmp_path / "journal.log", []

    def stalled(point):
        if not said:
            said.append("")
            study = trials.open_study(definition.check("mine", GRID), where)
            trials.give_up(study, 0)
            return {"validation": 99.0}
        return {"validation": 1.0}

    study = work(GRID, where, stalled, say=said.append)
    assert points_of(study) == grid()
    assert {trial.value for trial in trials.finished(study)} == {1.0}
    assert any("took this one for dead" in line for line in said)


def test_a_trial_that_diverged_is_a_result(storage):
    study = work(GRID, storage, lambda point: "the loss became nan" if point["lr"] == 0.1 else {"validation": 1.0})
    assert points_of(study) == grid()
    told = [trial.user_attrs for trial in trials.finished(study)]
    assert sum("figures" not in one and one["diverged"] == "the loss became nan" for one in told) == 4
    assert sum("figures" in one and "diverged" not in one for one in told) == 8


@pytest.mark.parametrize("change", [{"settings": {"family": "cvae"}}, {"grid": [{**AXES, "latent": [2, 6]}]}])
def test_the_storage_of_another_study_is_refused_with_both_sides(change, storage):
    work({**GRID, "grid": [{"latent": [2]}]}, storage, lambda point: {"validation": 1.0})
    with pytest.raises(StudyError) as caught:
        trials.open_study(definition.check("mine", {**GRID, "grid": [{"latent": [2]}], **change}), storage)
    name = next(iter(change))
    assert f"its {name} is " in str(caught.value) and json.dumps(change[name]) in str(caught.value)


def test_a_journal_of_a_study_with_another_name_is_refused(tmp_path):
    work(GRID, tmp_path / "journal.log", lambda point: {"validation": 1.0})
    with pytest.raises(StudyError, match="is the storage of study 'mine', not of 'yours'"):
        trials.open_study(definition.check("yours", GRID), tmp_path / "journal.log")


def test_a_file_that_is_no_journal_is_refused_and_left_alone(tmp_path):
    (tmp_path / "letter.txt").write_text("Dear all,\nnothing.\n")
    with pytest.raises(StudyError, match="cannot be opened as a journal file or database"):
        trials.open_study(definition.check("mine", GRID), tmp_path / "letter.txt")
    assert (tmp_path / "letter.txt").read_text() == "Dear all,\nnothing.\n"


def test_a_journal_whose_last_line_is_cut_off_is_refused_before_more_is_lost(tmp_path):
    where = tmp_path / "journal.log"
    work(GRID, where, lambda point: {"validation": 1.0})
    whole = where.read_bytes()
    where.write_bytes(whole[:-9])
    with pytest.raises(StudyError, match="its last line is cut off, as by a full disk: delete that line"):
        trials.open_study(definition.check("mine", GRID), where)
    where.write_bytes(whole[: whole[:-9].rindex(b"\n") + 1])
    done = []
    study = work(GRID, where, lambda point: done.append(key(point)) or {"validation": 1.0}, patience_s=0.2)
    assert len(done) == 1 and points_of(study) == grid()


@pytest.mark.parametrize("url", ["sqlite:////no/such/folder/study.db", "nonsense://here"])
def test_a_database_that_is_not_there_is_refused(url):
    with pytest.raises(StudyError, match="cannot be opened as a journal file or database"):
        trials.open_study(definition.check("mine", GRID), url)


def test_a_search_makes_its_trials_within_its_ranges_and_finds_what_is_better(tmp_path):
    def bowl(point):
        return {"validation": (point["latent"] - 5) ** 2 + (0 if point["form"] == "conv" else 9)}

    found = [trial.user_attrs["point"] for trial in trials.finished(work(SEARCH, tmp_path / "a.log", bowl))]
    assert len(found) == 14
    assert all(1e-4 <= point["lr"] <= 1e-1 and 2 <= point["latent"] <= 9 for point in found)
    assert len({point["lr"] for point in found}) == 14
    again = [trial.user_attrs["point"] for trial in trials.finished(work(SEARCH, tmp_path / "b.log", bowl))]
    assert again == found  # the seed is in the file
    assert sum(point["form"] == "conv" for point in found[10:]) >= 3
    work({**SEARCH, "trials": 16}, tmp_path / "b.log", bowl)
    study = trials.open_study(definition.check("mine", SEARCH), tmp_path / "b.log")
    assert len(trials.finished(study)) == 16  # a search can be prolonged
