# install: what the project needs, from a bare Debian 12 or Ubuntu 22.04. test: what .ci/run runs.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
DOCS_STAMP := $(VENV)/.installed-docs

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
.PHONY: help install system lint test test-slow docs lab package package-system package-test soak fuzz lock clean

help:
	@echo "make install   system packages where missing (as root), and the project in $(VENV)"
	echo "make lint      ruff, mypy, bandit, and known vulnerabilities of what is locked"
	echo "make test      install, lint and all tests; kernel tests need root; TEST_JOBS= at once"
	echo "make test-slow  the tests that make test leaves out"
	echo "make docs      the pages of docs/ as a site in build/docs; a warning is an error"
	echo "make lab       the three-tier example in network namespaces (as root)"
	echo "make package   sdist, wheel, Debian package and bill of materials in dist/; on Debian 12"
	echo "make package-test   install, upgrade and purge the package in a clean root (as root)"
	echo "make soak      an hour of traffic, reloads and kills (as root); MINUTES=, ENGINE=queue|kernel|both"
	echo "make fuzz      each fuzz target for 20 minutes; MINUTES=, FUZZ_TARGETS="
	echo "make lock      the newest dependencies that pyproject.toml allows, with hashes"
	echo "make clean     remove everything that was made here"
	echo "PYTHON=python3.12 chooses the interpreter; 3.11 is the oldest that will do"

install: $(STAMP)

# Looks every time, which takes a fraction of a second, and installs only what is missing.
system:
	@command -v $(PYTHON) >/dev/null || {
	    echo "$(PYTHON) was not found: install Python 3.11 or newer, or set PYTHON=" >&2; exit 1; }
	read -r version is_old headers has_venv < <($(PYTHON) - <<'EOF'
	import sys, sysconfig
	from importlib.util import find_spec
	version = "%d.%d" % sys.version_info[:2]
	has_venv = find_spec("venv") and find_spec("ensurepip")
	is_old = sys.version_info < (3, 11)
	print(version, int(is_old), sysconfig.get_path("include") + "/Python.h", int(bool(has_venv)))
	EOF
	)
	if [ "$$is_old" = 1 ]; then
	    echo "$(PYTHON) is Python $$version, and nsgd needs 3.11 or newer:" >&2
	    echo "install one (python3.11 python3.11-venv python3.11-dev) and run make PYTHON=python3.11" >&2
	    exit 1
	fi
	build=() run=()
	# To build netfilterqueue.
	command -v gcc >/dev/null || build+=(gcc)
	[ -e /usr/include/stdio.h ] || build+=(libc6-dev)
	[ -e /usr/include/libnetfilter_queue/libnetfilter_queue.h ] || build+=(libnetfilter-queue-dev)
	[ -e "$$headers" ] || build+=("python$$version-dev")
	[ "$$has_venv" = 1 ] || build+=("python$$version-venv")
	# For the kernel tests and the lab; nft is there to look at what is loaded.
	PATH=$$PATH:/usr/sbin:/sbin
	command -v nft >/dev/null || run+=(nftables)
	command -v ip >/dev/null || run+=(iproute2)
	command -v conntrack >/dev/null || run+=(conntrack)
	command -v ping >/dev/null || run+=(iputils-ping)
	command -v unshare >/dev/null || run+=(util-linux)
	# Judges the units; systemd itself need not run.
	command -v systemd-analyze >/dev/null || run+=(systemd)
	# The web page is tested in a real browser, without a screen: 100 MB to fetch.
	command -v chromium-headless-shell >/dev/null || command -v chromium >/dev/null ||
	    run+=(chromium-headless-shell)
	# Checks the names of metrics, and scrapes them. Both are of one package.
	command -v promtool >/dev/null && command -v prometheus >/dev/null || run+=(prometheus)
	missing=("$${build[@]}" "$${run[@]}")
	[ "$${#missing[@]}" -gt 0 ] || exit 0
	if [ "$$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
	    echo "missing packages (Debian's names): $${missing[*]}" >&2
	    if [ "$${#build[@]}" -eq 0 ]; then
	        echo "going on: only some tests and the lab need them" >&2; exit 0
	    fi
	    echo "install them, or run make install as root where apt-get is" >&2
	    exit 1
	fi
	export DEBIAN_FRONTEND=noninteractive
	packages=()
	for name in "$${missing[@]}"; do
	    [[ $$name = prometheus || $$name = chromium-headless-shell ]] || packages+=("$$name")
	done
	apt=(apt-get install -y -q --no-install-recommends "$${packages[@]}")
	# The package lists may be absent, or too old to fetch from.
	"$${apt[@]}" || { apt-get update -q; "$${apt[@]}"; }
	if [[ " $${missing[*]} " = *" chromium-headless-shell "* ]]; then
	    # Ubuntu has none, and goes without.
	    browser=(apt-get install -y -q --no-install-recommends chromium-headless-shell fonts-dejavu-core)
	    "$${browser[@]}" || { apt-get update -q; "$${browser[@]}"; } ||
	        echo "there is no chromium-headless-shell: tests in a browser are left out" >&2
	fi
	if [[ " $${missing[*]} " = *" prometheus "* ]]; then
	    # Not by installing the package, which would start a server.
	    directory=$$(mktemp -d)
	    trap 'rm -r "$$directory"' EXIT
	    cd "$$directory"
	    download=(apt-get download -q -o APT::Sandbox::User=root prometheus)
	    "$${download[@]}" || { apt-get update -q; "$${download[@]}"; }
	    dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin
	    install -m 755 usr/bin/promtool usr/bin/prometheus /usr/local/bin/
	fi

# Locked, with hashes: what the tests have seen. Extras may add to it: pip install -e '.[bench]'.
$(STAMP): pyproject.toml requirements/build.txt requirements/test.txt | system
	$(PYTHON) -m venv $(VENV)
	pip=($(VENV)/bin/pip --disable-pip-version-check install --quiet)
	"$${pip[@]}" --require-hashes -r requirements/build.txt
	"$${pip[@]}" --require-hashes --no-build-isolation -r requirements/test.txt
	"$${pip[@]}" --no-deps --no-build-isolation -e .
	touch $@

# As they are from the index that is configured, and without its address.
lock: | system
	$(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet --disable-pip-version-check 'uv>=0.5'
	lock() {
	    build/lock/bin/uv pip compile --quiet --no-header --universal --python-version 3.11 \
	        --generate-hashes --upgrade --output-file "requirements/$$1.txt" "$${@:2}"
	}
	lock runtime pyproject.toml
	lock build requirements/build.in -c requirements/runtime.txt
	lock bundled requirements/bundled.in -c requirements/runtime.txt
	lock test pyproject.toml --extra test --extra audit \
	    -c requirements/runtime.txt -c requirements/build.txt
	lock docs pyproject.toml --extra docs \
	    -c requirements/runtime.txt -c requirements/build.txt -c requirements/test.txt

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/bandit --quiet --configfile pyproject.toml --recursive nsgd debian .ci
	$(VENV)/bin/python .ci/audit.py requirements/runtime.txt requirements/build.txt

# Kernel tests mostly wait, so there is one more at work than processors are in a small machine. The
# tests of a file stay together, as some share what was costly to make.
TEST_JOBS ?= 3
test: lint docs
	$(VENV)/bin/pytest -m 'not slow' --numprocesses $(TEST_JOBS) --dist loadfile

# Tests that wait for long, or load the machine.
test-slow: $(STAMP)
	$(VENV)/bin/pytest -m slow

$(DOCS_STAMP): requirements/docs.txt $(STAMP)
	$(VENV)/bin/pip --disable-pip-version-check install --quiet --require-hashes -r requirements/docs.txt
	touch $@

# Of the command's definition; a test asks whether it is.
docs/cli.md: $(STAMP) $(wildcard nsgd/commands/*.py) nsgd/cli.py nsgd/manual/markdown_page.py
	$(VENV)/bin/python -m nsgd.manual --markdown docs

# From nothing each time: what Sphinx read before it does not warn of again.
docs: $(DOCS_STAMP)
	rm -rf build/docs
	$(VENV)/bin/sphinx-build --quiet --fresh-env --nitpicky --fail-on-warning --keep-going docs build/docs
	echo "build/docs/index.html"

lab: $(STAMP)
	$(VENV)/bin/nsgd lab --config docs/examples/three-tier.yaml \
	    --expected docs/examples/three-tier.expected.yaml

# The package is for the Debian that it is built on: it holds an extension for its interpreter.
package-system:
	@[ -e /etc/debian_version ] || { echo "a Debian package is built on Debian" >&2; exit 1; }
	missing=()
	for package in build-essential debhelper dh-python libnetfilter-queue-dev python3-dev \
	    python3-prometheus-client python3-venv python3-yaml; do
	    state=$$(dpkg-query -W -f '$${Status}' "$$package" 2>/dev/null) || state=
	    [[ $$state = *' installed' ]] || missing+=("$$package")
	done
	[ "$${#missing[@]}" -gt 0 ] || exit 0
	[ "$$(id -u)" -eq 0 ] || { echo "install, as root: $${missing[*]}" >&2; exit 1; }
	export DEBIAN_FRONTEND=noninteractive
	apt=(apt-get install -y -q --no-install-recommends "$${missing[@]}")
	"$${apt[@]}" || { apt-get update -q; "$${apt[@]}"; }

# From the sdist, so that nothing takes part that is not in it.
package: $(STAMP) package-system
	rm -rf build/package dist
	mkdir -p build/package dist
	SOURCE_DATE_EPOCH=$$(dpkg-parsechangelog -STimestamp)
	export SOURCE_DATE_EPOCH
	$(VENV)/bin/python -m build --no-isolation --outdir dist .
	mkdir build/package/nsgd
	tar -xf dist/nsgd-*.tar.gz -C build/package/nsgd --strip-components=1
	(cd build/package/nsgd && dpkg-buildpackage --build=binary --no-sign)
	mv build/package/*.deb dist/
	# Bills of materials: of the wheel with what it needs, and of what the Debian package holds.
	$(VENV)/bin/python debian/bom.py requirements/runtime.txt > dist/nsgd.wheel.cdx.json
	cp build/package/nsgd/build/nsgd.cdx.json dist/nsgd.deb.cdx.json
	rm -rf build/package
	ls -l dist

# Minutes, and a gigabyte in build/: not part of make test.
package-test: package
	$(VENV)/bin/python -m tests.package dist/nsgd_*.deb

# With the plot, which needs an extra. The report and the plot are in build/.
soak: $(STAMP)
	@$(VENV)/bin/pip --disable-pip-version-check install --quiet -e '.[bench]'
	mkdir -p build
	$(VENV)/bin/python -m tests.soak --minutes $${MINUTES:-60} --engine $${ENGINE:-both} \
	    --json build/soak.json --plot build/soak.png

# One after another, each to its end: a finding stops it, and leaves its input in build/fuzz/.
FUZZ_TARGETS := packet control netlink documents arm tag_file
fuzz: $(STAMP)
	@$(VENV)/bin/pip --disable-pip-version-check install --quiet -e '.[dev]'
	mkdir -p build/fuzz
	root=$$PWD; cd build/fuzz
	for target in $(FUZZ_TARGETS); do
	    echo "fuzzing $$target for $${MINUTES:-20} minutes"
	    PYTHONPATH=$$root "$$root/$(VENV)/bin/python" -m "tests.fuzz.fuzz_$$target" \
	        $$(($${MINUTES:-20} * 60)) 2>"$$target.log" || { tail -n 60 "$$target.log"; exit 1; }
	    grep -E '^(Done|stat::)' "$$target.log"
	done

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find nsgd tests -name __pycache__ -type d -prune -exec rm -rf {} +
