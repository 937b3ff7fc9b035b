#!/usr/bin/env bash
# The Debian packages of a private Slurm, and of clocks that are wrong, for `make test-slurm`. No service is started.
set -euo pipefail

missing=()
for package in munge slurmctld slurmd slurm-client slurmdbd mariadb-server faketime; do
  dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "not root on Debian or Ubuntu: cannot install ${missing[*]}; the Slurm tests will be skipped"
  exit 0
fi

# packages would start their services, on the ports and folders of a real Slurm
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' > "$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; }; then
  echo "cannot install ${missing[*]} (no network?); the Slurm tests will be skipped"
fi
