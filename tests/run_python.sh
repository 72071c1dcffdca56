#!/bin/sh
# A check in Python, in .venv if tests/python_environment.sh has made it. Usage: run_python.sh FILE...
python=$(dirname "$0")/../.venv/bin/python
[ -x "$python" ] || python=python3
exec "$python" "$@"
