"""What the doctor looks at: files below a root, commands, packages asked in processes of their own; and its Findings.

Nothing here raises for what a machine lacks: an unreadable file is None, a command that is not there or does not answer
is an Outcome without a status, and a package that kills its process is an Answer that names the signal.
"""

import glob
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
from typing import NamedTuple

OK, NOTE, PROBLEM = "ok", "note", "problem"
MARK = "latentjet-answer "
MOST_BYTES = 1 << 16

# argv: package, what to run once it is imported. The version is told before the import, which may kill the process.
CHILD = """
import sys
sys.path[:] = [place for place in sys.path if place]
import importlib, importlib.util, json, os, re
name, more = sys.argv[1:3]
def tell(**found):
    sys.stdout.write("\\n" + {mark!r} + json.dumps(found) + "\\n")
    sys.stdout.flush()
try:
    spec = importlib.util.find_spec(name)
    if spec is None:
        tell(missing=True)
        sys.exit()
    place = list(spec.submodule_search_locations or [spec.origin or ""])[0]
    pattern = "(?i)" + re.escape(name) + "-([^-]+)(-.*)?[.](dist|egg)-info$"
    beside = os.path.dirname(place)
    names = os.listdir(beside) if os.path.isdir(beside) else []
    versions = [match.group(1) for match in (re.match(pattern, item) for item in names) if match]
    tell(place=place, **({{"version": versions[0]}} if versions else {{}}))
    if spec.origin in (None, "namespace"):
        raise ImportError(place + " is a folder without a package in it")
    module = importlib.import_module(name)
    stated = [getattr(module, "__version__", None), getattr(module, "VERSION_TEXT", None)]
    found = {{"version": str(next(filter(None, stated + versions), ""))}}
    tell(**found)
    exec(more, {{"module": module, "found": found}})
    tell(**found)
except BaseException as error:
    if not isinstance(error, SystemExit):
        tell(problem="{{}}: {{}}".format(type(error).__name__, error))
""".format(mark=MARK)

MORE = {
    "numpy": "import numpy; a = numpy.ones((64, 64), 'f'); assert a.dot(a)[0, 0] == 64",
    "onnxruntime": "found['providers'] = module.get_available_providers()",
    "pycuda": "import pycuda.driver",
    "torch": "found['cuda'] = bool(module.cuda.is_available())",
    "ctypes": """
driver = module.CDLL("libcuda.so.1")
number, text = module.c_int(), module.create_string_buffer(256)
status = driver.cuInit(0)
if status:
    raise OSError("cuInit answers with error {}".format(status))
driver.cuDriverGetVersion(module.byref(number))
found["driver"] = "{}.{}".format(number.value // 1000, number.value % 1000 // 10)
driver.cuDeviceGetCount(module.byref(number))
found["devices"] = number.value
if number.value:
    driver.cuDeviceGetName(text, 256, 0)
    found["gpu"], parts = text.value.decode("ascii", "replace"), []
    for attribute in (75, 76):  # compute capability, major and minor
        driver.cuDeviceGetAttribute(module.byref(number), attribute, 0)
        parts.append(str(number.value))
    found["sm"] = "".join(parts)
""",
}


class Finding(NamedTuple):
    """level: ok, note, or problem (no bundle can run); what: a fact; means: for this project; mend: command lines."""

    level: str
    what: str
    means: str = ""
    mend: tuple = ()


class Outcome(NamedTuple):
    """A command that ended: status (minus the signal's number if one ended it), out, err; status None: it never ended
    or never began, and err says why."""

    status: object
    out: str
    err: str


class Answer(NamedTuple):
    """What a package said: installed; works; facts (version, place, ...); signal ("SIGILL") and problem of a failure"""

    installed: bool
    works: bool
    facts: dict
    signal: str
    problem: str

    @property
    def version(self):
        return self.facts.get("version", "")


def run(command, timeout_s=60):
    """A list of words -> Outcome. Never raises for what the command does; what it started ends with it."""
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return Outcome(None, "", getattr(error, "strerror", None) or str(error))
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        return Outcome(None, "", "no answer within {} s".format(timeout_s))
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        process.stderr.close()
    return Outcome(process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))


class Machine:
    """A machine to look at. root: the folder that stands for /; run: stands for `run`; python: version as a tuple;
    isolated: a virtual environment that does not see the system's packages; place: where plans will lie."""

    def __init__(
        self, root="/", run=run, architecture=None, python=None, isolated=None, place=".", environment=None, disk=None
    ):
        self.root, self.run, self.place = root, run, place
        self.architecture = architecture or platform.machine()
        self.python = tuple(python or sys.version_info[:3])
        self.isolated = is_isolated() if isolated is None else isolated
        self.environment = os.environ if environment is None else environment
        self.disk = disk or shutil.disk_usage
        self._answers = {}

    def read(self, path):
        """The text of a small file below the root, control characters as spaces; None if it cannot be read."""
        try:
            with open(os.path.join(self.root, path), "rb") as handle:
                text = handle.read(MOST_BYTES).decode("utf-8", "replace")
        except (OSError, ValueError):
            return None
        return "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text).strip()

    def number(self, path):
        """A file that holds one whole number -> int, or None."""
        text = self.read(path)
        return int(text) if text and text.isdecimal() and len(text) < 16 else None

    def glob(self, pattern):
        """Paths below the root that match, relative to it, sorted."""
        found = glob.glob(os.path.join(glob.escape(self.root), pattern))
        return sorted(os.path.relpath(path, self.root) for path in found)

    def exists(self, path):
        return os.path.exists(os.path.join(self.root, path))

    def ask(self, name):
        """A package's name -> Answer, from a process of its own; asked once."""
        if name not in self._answers:
            outcome = self.run([sys.executable, "-c", CHILD, name, MORE.get(name, "")])
            self._answers[name] = answer(outcome)
        return self._answers[name]


def answer(outcome):
    """Outcome of the child -> Answer."""
    facts = {}
    for line in outcome.out.splitlines():
        if line.startswith(MARK):
            try:
                facts.update(json.loads(line[len(MARK) :]))
            except (ValueError, TypeError):
                continue
    missing, problem, name = facts.pop("missing", False), facts.pop("problem", ""), ""
    if outcome.status is None:
        problem = outcome.err
    elif outcome.status < 0:
        name = signal_name(-outcome.status)
        problem = "its process was killed by {}".format(name)
    elif outcome.status or not (facts or missing or problem):
        problem = problem or "its process ended with status {}: {}".format(outcome.status, last_line(outcome.err))
    return Answer(not missing, not (missing or problem), facts, name, " ".join(problem.split()))


def signal_name(number):
    try:
        return signal.Signals(number).name
    except ValueError:
        return "signal {}".format(number)


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def is_isolated():
    """Is this a virtual environment that does not see the system's packages?"""
    if sys.prefix == getattr(sys, "base_prefix", sys.prefix):
        return False
    try:
        with open(os.path.join(sys.prefix, "pyvenv.cfg")) as handle:
            return "include-system-site-packages = true" not in handle.read().lower()
    except (OSError, ValueError):
        return True
