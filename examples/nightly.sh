#!/usr/bin/env bash
# One vendor's run, the same under cron, systemd, Docker, GitHub Actions and Kubernetes: nightly.sh peek
#
# Settings come from the environment, secrets from files that are named like their settings: in
# /run/secrets/tap-<vendor>, where containers mount them, or among systemd's credentials. The state is where the rows
# are, in the warehouse, so there is nothing else to keep. The exit code is the tap's or the loader's.
set -euo pipefail

# The warehouse holds customers' data: what is written here is for this user alone. UMASK=027 lets a group read it.
umask "${UMASK:-077}"

vendor=${1:?"usage: nightly.sh VENDOR"}
export TARGET_DUCKHOUSE_SCHEMA=${TARGET_DUCKHOUSE_SCHEMA:-$vendor}

for file in "${SECRETS:-/run/secrets}/tap-$vendor"/* "${CREDENTIALS_DIRECTORY:-}/tap-${vendor}_"*; do
  if [ -f "$file" ]; then
    setting=${file##*/}
    setting=${setting#"tap-${vendor}_"}
    export "TAP_${vendor^^}_${setting^^}_FILE=$file"
  fi
done

state=$(mktemp)
trap 'rm -f "$state"' EXIT
target-duckhouse state --or-new > "$state"

# In the background, so that a signal for this script can be handed to the tap: the loader then commits what has come.
"tap-$vendor" --config ENV --state "$state" | target-duckhouse > /dev/null &
trap 'stopped=yes; kill -TERM "$(jobs -p)" || true' INT TERM
code=0
wait %1 || code=$?
if [ -n "${stopped:-}" ]; then
  wait %1 || code=$?
fi

# The small files of a lake are merged once a week, after a run that went well: COMPACT_ON=1 is Monday, by UTC.
if [ "$code" = 0 ] && [ "${COMPACT_ON:-}" = "$(date -u +%u)" ]; then
  target-duckhouse compact >&2
fi
exit "$code"
