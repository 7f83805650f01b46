#!/bin/sh
# A file that one other file of its folder alone calls, or whose header it alone includes, is cut
# where a concept ends and not for its size: seams.txt says which concept, line by line. A
# header may also be another's that holds its struct, a module's interface, or a test's.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/externs.sh"

externs "$source_dir" "$build_dir" >"$scratch/externs"
[ -s "$scratch/externs" ] || complain "no private function found in $build_dir"
externs_satellites "$scratch/externs" | sed 's,libmproxy/,,g' >"$scratch/seams"

# A header beside its source, of which one source of the folder knows and no test.
cd "$source_dir/libmproxy"
grep -rno --include='*.[ch]' --include='*.cc' '^#include "[a-z]*/[a-z_]*\.h"' . ../tools ../bindings |
    sed 's,^\./,,; s,:[0-9]*:#include, ,; s,"\([^"]*\)",\1,' >"$scratch/includes"
grep -rhoE '"(\.\./)*[a-z]+/[a-z_]+\.h"' ../tests --include='*.[ch]' | tr -d '"' |
    sed 's,\.\./,,g' >"$scratch/tested"
awk '
    function folder(file) { sub(/[^\/]*$/, "", file); return file }
    FILENAME ~ /tested$/ { tested[$1] = 1; next }
    {
        own = $2
        sub(/\.h$/, ".c", own)
        if ($1 != own && $1 != $2) {
            users[$2]++
            user[$2] = $1
        }
    }
    END {
        for (header in users)
            if (users[header] == 1 && !tested[header] && user[header] ~ /\.c$/ &&
                folder(user[header]) == folder(header)) {
                own = header
                sub(/\.h$/, ".c", own)
                print own, user[header]
            }
    }' "$scratch/tested" "$scratch/includes" >>"$scratch/seams"

sort -u "$scratch/seams" >"$scratch/all"
grep -v '^#' "$source_dir/tests/meta/seams.txt" >"$scratch/reasons"
while read -r file of; do
    found=
    while read -r pattern reason; do
        # shellcheck disable=SC2254 # a pattern
        case $file in $pattern)
            [ -n "$reason" ] && found=yes
            echo "$pattern" >>"$scratch/used"
            ;;
        esac
    done <"$scratch/reasons"
    [ -n "$found" ] || echo "$file ($of)"
done <"$scratch/all" |
    complain_lines "used by one file alone: merge them, or say in tests/meta/seams.txt why not"
while read -r pattern _; do
    grep -qxF "$pattern" "$scratch/used" || echo "$pattern"
done <"$scratch/reasons" | complain_lines "no seam any more: take it out of tests/meta/seams.txt"
verdict
