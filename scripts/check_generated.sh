#!/usr/bin/env bash
# Generate the code of the contracts anew and fail when it differs from what is committed.
set -euo pipefail

python scripts/generate_protos.py
buf generate
if [ -n "$(git status --porcelain -- gen services/dashboard/src/gen)" ]; then
    git --no-pager diff --stat -- gen services/dashboard/src/gen
    echo "Generated code is not up to date: run 'make protos' and commit the result." >&2
    exit 1
fi
