#!/bin/sh
# structure.sh SOURCE [BUILD [all]]: prints how large files and functions are, how much comment there
# is and, of a build, how many private functions have one calling file and which files call
# each other in a circle; with `all` also which files are called by one alone. For comparing a
# tree before and after; the limits are in test_sizes.sh.
set -eu
source_dir=${1:?the source folder}
build_dir=${2:-}
here=$(cd "$(dirname "$0")" && pwd)
cd "$source_dir"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
find libmproxy tools bindings -type f \( -name '*.c' -o -name '*.cc' \) | sort >"$scratch/sources"

# distribution TITLE LIMIT...: of numbers on stdin, with how many are above each limit.
distribution() {
    sort -n | awk -v title="$1" -v limits="$2" '
        { value[NR] = $1; sum += $1 }
        END {
            printf "%-22s %6d  sum %6d  median %4d  p90 %4d  most %4d", title, NR, sum,
                value[int((NR + 1) / 2)], value[int(NR * 0.9 + 0.5)], value[NR]
            n = split(limits, limit, " ")
            for (i = 1; i <= n; i++) {
                above = 0
                for (k = 1; k <= NR; k++)
                    above += value[k] > limit[i]
                printf "  over %d: %d (%.1f %%)", limit[i], above, NR ? 100 * above / NR : 0
            }
            print ""
        }'
}

xargs wc -l <"$scratch/sources" | awk '$2 != "total" { print $1 }' |
    distribution 'source files' '400 600'
find libmproxy tools bindings -type f -name '*.h' | xargs wc -l |
    awk '$2 != "total" { print $1 }' | distribution 'private headers' '60 120'
wc -l include/mproxy/*.h | awk '$2 != "total" { print $1 }' |
    distribution 'public headers' '250 300'
# shellcheck disable=SC2046 # a list of words
awk '
    FNR == 1 { start = 0 }
    /^\{/ { start = FNR }
    /^\}/ && start { print FNR - start - 1; start = 0 }' $(cat "$scratch/sources") |
    distribution 'functions' '40 60'
# shellcheck disable=SC2046
awk '
    function finish() {
        if (lines > 200) {
            large++
            bare += note < 10
        }
    }
    FNR == 1 { finish(); lines = note = 0; in_note = 1 }
    { lines++; all++ }
    /^[ \t]*\/\// { comment++; note += in_note; next }
    /^[ \t]*\/\*/ { block = 1 }
    block { comment++; note += in_note }
    /\*\// { block = 0; next }
    !block && NF && !/^#include/ { in_note = 0 }
    END {
        finish()
        printf "comment in source files: %.1f %% of lines\n", 100 * comment / all
        printf "files over 200 lines without a note of 10 lines at their top: %d of %d\n",
            bare, large
    }' $(cat "$scratch/sources")
if [ -n "$build_dir" ]; then
    . "$here/externs.sh"
    externs "$source_dir" "$build_dir" >"$scratch/externs"
    externs_summary "$scratch/externs"
    externs_circles "$scratch/externs" >"$scratch/circles"
    echo "circles of calls between the files of a folder: $(wc -l <"$scratch/circles")"
    sed 's/^/    /' "$scratch/circles"
    externs_satellites "$scratch/externs" >"$scratch/satellites"
    echo "files that one file of their folder alone calls: $(wc -l <"$scratch/satellites")"
    if [ "${3:-}" = all ]; then
        sed 's/^/    /' "$scratch/satellites"
    fi
fi
