#!/usr/bin/env bash
# Install a wheel as a user would, and use it: try_wheel.sh dist/featx-1.2.3-py3-none-any.whl
# The environment and the home folder are new. The README's commands and a user's script run, and
# mypy checks that script against the installed types.
set -euo pipefail
wheel=$(realpath "$1")
tests=$(realpath "$(dirname "$0")")
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
mkdir "$fresh/home"
export HOME=$fresh/home XDG_CACHE_HOME=$fresh/home/.cache
unset PYTHONPATH VIRTUAL_ENV
cd "$fresh"
"${PYTHON:-python3}" -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check "$wheel" mypy
venv/bin/python "$tests/run_readme.py" venv/bin
venv/bin/python "$tests/user_script.py" home
venv/bin/mypy --strict --config-file= "$tests/user_script.py"
