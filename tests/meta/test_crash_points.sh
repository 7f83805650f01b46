#!/bin/sh
# Every crash point has a name of its own and is driven by a test.
. "$(dirname "$0")/lib.sh"

cd "$source_dir"
grep -rhoE 'MPX_CRASH_POINT\("[^"]*"\)' libmproxy --include='*.c' |
    sed 's/.*("//; s/").*//' | sort >"$scratch/points"
uniq -d "$scratch/points" | complain_lines "crash points named twice"
# A test that lists the points by grepping for them drives them all.
if ! grep -rqE 'MPX_CRASH_POINT' tests/tool tests/unit tests/support 2>/dev/null; then
    sort -u "$scratch/points" | while IFS= read -r point; do
        grep -rqF "$point" tests --include='*.sh' --include='*.py' --include='*.c' \
            --include='*.txt' || echo "$point"
    done | complain_lines "crash points that no test drives"
fi
printf '%s crash points\n' "$(wc -l <"$scratch/points")"
verdict
