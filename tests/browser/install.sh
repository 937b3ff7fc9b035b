#!/usr/bin/env bash
# Debian's Chromium, for `make test-browser`.
set -euo pipefail

command -v chromium >/dev/null && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "not root on Debian: cannot install chromium; the browser tests will be skipped"
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core; }; then
  echo "cannot install chromium (no network?); the browser tests will be skipped"
fi
