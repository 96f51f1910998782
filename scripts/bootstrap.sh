#!/usr/bin/env bash
# Make a virtual environment that holds exactly what a lock file lists.
# usage: scripts/bootstrap.sh PYTHON ENVIRONMENT LOCK
set -euo pipefail
python=$1 environment=$2 lock=$3

if [ "$python" = python3.11 ] && ! command -v "$python" >/dev/null; then
    python=python3 # the default name alone may be missing where Python 3.11 is just "python3"
fi
if ! command -v "$python" >/dev/null; then
    echo "There is no $python. Install Python 3.11, or name it: make PYTHON=/path/to/python3.11" >&2
    exit 1
fi
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if [ "$version" != 3.11 ]; then
    echo "Heimdallr needs Python 3.11 and found $version. Install it, or name it: make PYTHON=/path/to/python3.11" >&2
    exit 1
fi
if ! "$environment/bin/python" -m pip --version >/dev/null 2>&1; then
    "$python" -m venv --clear "$environment" # absent, or left half made by an interruption
fi
echo "Installing $lock into $environment (one to three minutes the first time)"
"$environment/bin/python" -m pip install --quiet --require-hashes --no-deps --requirement "$lock"
# Ours, from before the lock changed, would be checked against what it asked for then.
"$environment/bin/python" -m pip uninstall --quiet --yes heimdallr
"$environment/bin/python" -m pip check
