.PHONY: setup demo check test bench lock verify-aws

setup:            ## everything that demo and test share; leaves .venv/bin/reconcile
	@scripts/setup

demo: setup       ## the main job from nothing, in a lab on this machine
	@.venv/bin/reconcile demo

check: setup      ## format, lint, types, import contracts
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

test: setup check ## every test
	@.venv/bin/pytest -n 2 tests/unit tests/contract tests/mutations
	@.venv/bin/pytest tests/integration tests/e2e

bench: setup      ## speed, measured: all of it or ONLY=plan,peer; results in benchmarks/
	@.venv/bin/python -m benchmarks $(ONLY)

lock:             ## pin the dependencies anew
	@scripts/lock

verify-aws: setup ## the main job against your own account and cluster: make verify-aws ENVIRONMENT=path/to/environment.yaml
	@test -n "$(ENVIRONMENT)" || { echo "name an Environment document of yours: make verify-aws ENVIRONMENT=path/to/environment.yaml" >&2; exit 1; }
	@.venv/bin/python -m tests.verify "$(ENVIRONMENT)"
