#!/usr/bin/env bash
# Makes sure that the named programs are there: `tools/need.sh go gcc node npm chromium`.
# Chromium and gcc are installed with apt where that is possible; for the rest,
# and where it is not, it says what to do and fails.
set -euo pipefail

fail=0
say() { printf '\n*** %s\n\n' "$*" >&2; fail=1; }

apt_install() {
  command -v apt-get >/dev/null || return 1
  local as=()
  if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || return 1
    as=(sudo -n)
  fi
  echo "installing $* with apt"
  export DEBIAN_FRONTEND=noninteractive
  "${as[@]}" apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1 && return 0
  "${as[@]}" apt-get update -qq && "${as[@]}" apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

have_browser() {
  [ -n "${CHROMIUM:-}" ] && [ -x "${CHROMIUM}" ] && return 0
  command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null
}

# at_least VERSION MINIMUM
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

for program in "$@"; do
  case "$program" in
    go)
      if ! command -v go >/dev/null; then
        say "Go is missing: install Go 1.26 or later from https://go.dev/dl/"
      elif ! go version >/dev/null 2>&1; then
        say "this Go is older than go.mod asks for and cannot fetch a newer one: install Go 1.26 or later from https://go.dev/dl/"
      fi ;;
    gcc)
      command -v gcc >/dev/null || command -v clang >/dev/null || apt_install gcc g++ libc6-dev ||
        say "a C compiler is missing (the aggregator links DuckDB): install gcc and g++, for example with: apt-get install gcc g++" ;;
    node)
      if ! command -v node >/dev/null; then
        say "Node is missing: install Node 20.19 or later from https://nodejs.org/"
      elif ! at_least "$(node --version | tr -d v)" 20.19; then
        say "Node $(node --version) is too old to build the dashboard: install Node 20.19 or later from https://nodejs.org/"
      fi ;;
    npm)
      command -v npm >/dev/null || say "npm is missing: it comes with Node, https://nodejs.org/" ;;
    chromium)
      have_browser || apt_install chromium fonts-dejavu-core ||
        say "NO BROWSER: the browser tests need Chromium, and it could not be installed here. Install the package chromium, or set CHROMIUM to a Chrome's path, or leave these tests out with: make test BROWSER=no" ;;
    *)
      say "tools/need.sh knows nothing of $program" ;;
  esac
done
exit "$fail"
