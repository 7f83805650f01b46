# Sourced by the meta tests: `. "$(dirname "$0")/lib.sh"`. Arguments of each: SOURCE BUILD.
set -eu
source_dir=${1:?the source folder}
build_dir=${2:-}

# a folder for the test's files, gone at its end
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# complain TEXT...: one fault. Kept in a file, as it may be called in a pipe's subshell.
complain() { printf '%s\n' "$*" | tee -a "$scratch/faults"; }

# complain_lines TITLE: every line of stdin is a fault.
complain_lines() {
    complain_text=$(cat)
    [ -z "$complain_text" ] && return 0
    complain "$1:"
    printf '%s\n' "$complain_text" | sed 's/^/  /'
}

# skip THING WHY, skip_part THING WHY
. "$source_dir/tests/support/skip.sh"

# verdict: ends the test.
verdict() {
    [ ! -s "$scratch/faults" ] || exit 1
    exit 0
}

# sources: every C and C++ file of ours, relative to the source folder.
sources() {
    (cd "$source_dir" && find include libmproxy tools bindings tests docs/examples \
        -type f \( -name '*.c' -o -name '*.h' -o -name '*.cc' \) | sort)
}
