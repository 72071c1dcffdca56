#!/bin/sh
# Makes .venv, in which ctest runs exported networks. Needs python3 with venv, and PyPI.
set -eu
cd "$(dirname "$0")/.."
[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
