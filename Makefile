# make demo   the whole chain on real images, in about three minutes after set-up; DEMO_ARGS="--out elsewhere"
# make test   every test, under this Python and under CPython 3.6
# make wheels the doubles of TensorRT against a real 8.x on CPython 3.6; TENSORRT=8.5.3.1 (549 MB), 8.4.1.5 or 8.6.0
# make peers  the same work in normflows, nflows, zuko, FrEIA and in a bundle, side by side; into docs/benchmarks.md
# make scale  latency and memory against batch, couplings, width and image size; into docs/benchmarks.md
# make lint   style, newer syntax where CPython 3.6 must read it
# Each sets up what it needs, once: .venv (train, export, test) and .venv36 (what a Jetson has).

PYTHON ?= python3
TENSORRT ?= 8.5.3.1
PY36 := $(shell for p in python3.6 $$(ls -d $$(pyenv root 2>/dev/null)/versions/3.6*/bin/python3.6 $$HOME/.pyenv/versions/3.6*/bin/python3.6 /opt/*/bin/python3.6 2>/dev/null); do $$p -c 'import venv' >/dev/null 2>&1 && echo $$p && break; done)
SOURCES := setup.py README.md $(shell find train export runtime benchmarks -type f -not -path '*/__pycache__/*')
PIP := -m pip --disable-pip-version-check
DEVICE_CODE := runtime benchmarks examples export/importer train/models tests/gpu setup.py

.PHONY: demo test wheels peers scale lint clean browser
.DELETE_ON_ERROR:

demo: .venv/installed
	.venv/bin/latentjet demo $(DEMO_ARGS)

test: .venv/installed .venv36/installed browser
	.venv/bin/python -m pytest $(PYTEST_ARGS)

# the report's page is tested in a Chromium; where there is none and none can be had, those tests are skipped and say so
browser:
	@for name in chromium-headless-shell chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
	echo "looking for a Chromium in the system's packages, 90 MB"; \
	{ [ "$$(id -u)" = 0 ] && export DEBIAN_FRONTEND=noninteractive && timeout 300 apt-get update -qq \
	&& timeout 300 apt-get install -qq -y --no-install-recommends chromium-headless-shell; } >/dev/null 2>&1 \
	|| echo "no Chromium, and none could be installed: the tests that open the report in a browser are skipped"

wheels: .venv/installed .venv36/installed
	.venv/bin/python tests/wheels/try_wheel.py $(TENSORRT)

peers: .venv-peers/installed
	OMP_NUM_THREADS=1 .venv-peers/bin/python -m latentjet.benchmarks.peers run --overwrite --out docs/benchmarks/peers.json $(PEERS_ARGS)
	.venv-peers/bin/python -m latentjet.benchmarks.peers table docs/benchmarks/peers.json --into docs/benchmarks.md

scale: .venv/installed
	OMP_NUM_THREADS=1 .venv/bin/python -m latentjet.benchmarks.scale run --overwrite --out docs/benchmarks/scale.json $(SCALE_ARGS)
	.venv/bin/python -m latentjet.benchmarks.scale report docs/benchmarks/scale.json --into docs/benchmarks.md

lint: .venv/installed
	.venv/bin/ruff check .
	.venv/bin/vermin --quiet --no-tips --violations -t=3.6- $(DEVICE_CODE)

clean:
	rm -rf .venv .venv36 .venv-peers build *.egg-info .pytest_cache .ruff_cache

.venv/packages: setup.py
	@echo "setting up .venv: PyTorch and all else, a minute or two and 6 GB"
	$(PYTHON) -m venv .venv
	.venv/bin/python tests/requirements.py all test >.venv/requirements.txt
	.venv/bin/python $(PIP) install --progress-bar on -r .venv/requirements.txt
	@touch $@

.venv/installed: .venv/packages $(SOURCES)
	@rm -rf build
	.venv/bin/python $(PIP) install --quiet --no-deps --force-reinstall .
	@rm -rf build *.egg-info
	@touch $@

.venv36/packages: tests/python36.txt
	@if [ -z "$(PY36)" ]; then echo "no python3.6 that starts: its tests are skipped, or fail where CI is set"; \
	else echo "setting up .venv36: what a Jetson has, a minute and 2 GB"; $(PY36) -m venv .venv36 \
	&& .venv36/bin/python $(PIP) install --quiet pip==21.3.1 \
	&& .venv36/bin/python $(PIP) install --progress-bar on -r tests/python36.txt; fi
	@mkdir -p .venv36 && touch $@

.venv36/installed: .venv36/packages $(SOURCES)
	@rm -rf build
	@if [ -x .venv36/bin/python ]; then .venv36/bin/python $(PIP) install --quiet --no-deps --force-reinstall .; fi
	@rm -rf build *.egg-info
	@touch $@

.venv-peers/packages: setup.py benchmarks/peers/requirements.txt
	@echo "setting up .venv-peers: PyTorch and four libraries of flows, two or three minutes and 6 GB"
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python tests/requirements.py all >.venv-peers/requirements.txt
	.venv-peers/bin/python $(PIP) install --progress-bar on -r .venv-peers/requirements.txt -r benchmarks/peers/requirements.txt
	@touch $@

.venv-peers/installed: .venv-peers/packages $(SOURCES)
	@rm -rf build
	.venv-peers/bin/python $(PIP) install --quiet --no-deps --force-reinstall .
	@rm -rf build *.egg-info
	@touch $@
