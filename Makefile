.PHONY: setup demo check test model simulate kill bench lock verify-aws

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
	@.venv/bin/pytest -n 2 tests/unit tests/contract tests/simulation tests/mutations
	@labs=$$(mktemp -d) && .venv/bin/pytest --basetemp $$labs/kills tests/e2e/test_kills*.py && \
	  .venv/bin/pytest -n 2 --dist loadfile --no-loadscope-reorder --basetemp $$labs/run $(foreach file,$(wildcard tests/e2e/test_kills*.py),--ignore $(file)) -m "not last" tests/e2e tests/integration && \
	  .venv/bin/pytest -m last --labs $$labs tests/e2e && rm -rf $$labs

model: setup      ## commits, drift and faults in any order, in memory: make model N=2000 SEED=7
	@MODEL_EXAMPLES=$(or $(N),1000) MODEL_SEED=$(or $(SEED),20261122) MODEL_STEPS=$(or $(STEPS),40) .venv/bin/pytest -s tests/unit/test_model.py

simulate: setup   ## members under random interleavings of crashes, retries, late lists and lost replies: make simulate N=100000 SEED=7
	@SIMULATE_N=$(or $(N),100000) SIMULATE_SEED=$(or $(SEED),$(shell od -An -N4 -tu4 /dev/urandom)) .venv/bin/pytest -s tests/simulation/test_simulation.py -k invariant

kill: setup       ## kill N applies at random moments and judge what the next ones make of them: make kill N=200 SEED=7
	@.venv/bin/pytest tests/e2e/test_kills.py -s -k random --kills $(or $(N),200) --seed $(or $(SEED),$(shell od -An -N3 -tu4 /dev/urandom))

bench: setup      ## speed, measured: all of it or ONLY=plan,peer; results in benchmarks/
	@.venv/bin/python -m benchmarks $(ONLY)

lock:             ## pin the dependencies anew
	@scripts/lock

verify-aws: setup ## the main job against your own account and cluster: make verify-aws ENVIRONMENT=path/to/environment.yaml
	@test -n "$(ENVIRONMENT)" || { echo "name an Environment document of yours: make verify-aws ENVIRONMENT=path/to/environment.yaml" >&2; exit 1; }
	@.venv/bin/python -m tests.verify "$(ENVIRONMENT)"
