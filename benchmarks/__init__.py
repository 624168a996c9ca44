"""What the numbers in benchmarks/README.md come from; a module a benchmark, `python -m benchmarks` runs them all."""
