#!/usr/bin/env bash
# Runs every fuzz target of the module for the given time: tools/fuzz.sh 10s
set -euo pipefail
time=$1
out=$(mktemp)
trap 'rm -f "$out"' EXIT

# fuzz TARGET FOLDER. On a busy machine Go's fuzzer now and then fails with its
# own deadline at the very end, without an input: that says nothing about the
# target, which is tried again. A failing input always counts.
fuzz() {
  for _ in 1 2 3; do
    if go test -run '^$' -fuzz "^$1\$" -fuzztime "$time" "./$2" >"$out" 2>&1; then
      tail -n 1 "$out"
      return 0
    fi
    if grep -q 'Failing input' "$out" || ! grep -q 'context deadline exceeded' "$out"; then
      break
    fi
  done
  cat "$out"
  return 1
}

count=0
while read -r file; do
  for target in $(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' "$file"); do
    echo "== $target in $(dirname "$file") for $time"
    fuzz "$target" "$(dirname "$file")"
    count=$((count + 1))
  done
done < <(git grep --untracked -lE '^func Fuzz' -- '*_test.go')
echo "$count fuzz targets"
[ "$count" -gt 0 ]
