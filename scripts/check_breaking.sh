#!/usr/bin/env bash
# Compare the contracts with those of a base commit; without one there is nothing to break.
# usage: scripts/check_breaking.sh BASE
set -euo pipefail
base=$1

if ! git rev-parse --verify --quiet "$base^{commit}" >/dev/null ||
    [ "$(git rev-parse "$base^{commit}")" = "$(git rev-parse HEAD)" ]; then
    base=$(git rev-parse --verify --quiet 'HEAD^' || true)
fi
if [ -z "$base" ] || ! git ls-tree "$base" protos/ | grep -q .; then
    echo "no earlier contracts to compare with"
    exit 0
fi
exec buf breaking --against ".git#ref=$(git rev-parse "$base"),subdir=."
