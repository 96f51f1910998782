#!/usr/bin/env bash
# Make a virtual environment that holds exactly what a lock file lists.
# usage: scripts/bootstrap.sh PYTHON ENVIRONMENT LOCK
set -euo pipefail
python=$1 environment=$2 lock=$3

if ! command -v "$python" >/dev/null; then
    python=python3
fi
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if [ "$version" != 3.11 ]; then
    echo "Heimdallr needs Python 3.11 and found $version. Install it, or name it: make PYTHON=/path/to/python3.11" >&2
    exit 1
fi
if [ ! -x "$environment/bin/python" ]; then
    "$python" -m venv "$environment"
fi
echo "Installing $lock into $environment (one to three minutes the first time)"
"$environment/bin/python" -m pip install --quiet --require-hashes --no-deps --requirement "$lock"
"$environment/bin/python" -m pip check
