#!/usr/bin/env bash
# Debian's Chromium, and axe-core from npm (into .cache/), for `make test-browser`.
set -euo pipefail
cd "$(dirname "$0")/../.."

debian() {
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "not root on Debian: cannot install $*; browser tests will be skipped"
    return 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@"; }; then
    echo "cannot install $* (no network?); browser tests will be skipped"
    return 1
  fi
}

command -v chromium >/dev/null || debian chromium fonts-dejavu-core || exit 0

# the rules of the accessibility test
axe=axe-core-4.14.1
folder=.cache/$axe
[ -f "$folder/axe.min.js" ] && exit 0
command -v npm >/dev/null || debian npm || exit 0
mkdir -p "$folder"
if (cd "$folder" && npm pack --silent "${axe%-*}@${axe##*-}") >/dev/null; then
  echo "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745  $folder/$axe.tgz" | sha256sum --check --quiet
  tar -xzf "$folder/$axe.tgz" -C "$folder" --strip-components=1 package/axe.min.js
else
  echo "cannot fetch $axe (no network?); the accessibility test will be skipped"
fi
