"""AWS and Kubernetes on one machine, for the demo and the tests; used by nothing else. See README.md beside this file."""
