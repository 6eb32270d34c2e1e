"""Print the requirements of setup.py's extras, one a line: `python tests/requirements.py all test`."""

import runpy
import sys
from pathlib import Path
from unittest import mock

root = Path(__file__).resolve().parent.parent
with mock.patch("setuptools.setup") as setup:
    runpy.run_path(str(root / "setup.py"))
arguments = setup.call_args.kwargs
wanted = set(arguments["install_requires"])
for extra in sys.argv[1:]:
    wanted.update(arguments["extras_require"][extra])
print("\n".join(sorted(wanted)))
