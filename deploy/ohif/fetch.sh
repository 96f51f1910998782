#!/bin/sh
# Fetches OHIF as it is published, checks it, and leaves out what is not needed here.
set -eu
cd "$(dirname "$0")"
version=3.13.2
sha512=5997719a9986eeba85816f5924b71b82bdd70ad2e2d4a0cd3e831a798e4f3deea3e06e1f8c48e393271933a0ba664d85f3b04ac457e9abe8dde715d907d13c10
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm pack --silent --pack-destination "$work" "@ohif/app@$version" >/dev/null
echo "$sha512  $work/ohif-app-$version.tgz" | sha512sum --check --quiet
tar -xzf "$work/ohif-app-$version.tgz" -C "$work"
cd "$work/package/dist"
# Neural network runtimes, whole-slide microscopy, sign-in with others, a service worker that loads code from elsewhere.
rm -rf ort dicom-microscopy-viewer customizations
rm -f sw.js google.js oidc-client.min.js silent-refresh.html serve.json \
  _headers _redirects
find . -name '*.map' -delete
cp "$work/package/LICENSE" LICENSE.txt
cd - >/dev/null
rm -rf dist
cp app-config.js "$work/package/dist/app-config.js"
mv "$work/package/dist" dist
du -sh dist
