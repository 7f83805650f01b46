#!/bin/sh
# Every crash point has a name of its own and is driven by a test.
. "$(dirname "$0")/lib.sh"

cd "$source_dir"
grep -rhoE 'MPX_CRASH_POINT\("[^"]*"\)' libmproxy --include='*.c' |
    sed 's/.*("//; s/").*//' | sort >"$scratch/points"
uniq -d "$scratch/points" | complain_lines "crash points named twice"
# t41 drives all points that it finds but those that it leaves to another test, by prefix:
# these must be named in a test that is not t41.
grep -q 'driver.crash_points(' tests/tool/t41-crash-points.py ||
    complain "t41 no longer drives the points that it finds"
left=$(sed -n 's/.*not point\.startswith("\([^"]*\)").*/\1/p' tests/tool/t41-crash-points.py)
[ -n "$left" ] || complain "t41 no longer says which points it leaves to others"
for prefix in $left; do
    grep "^$prefix" "$scratch/points" | while IFS= read -r point; do
        grep -rlF "$point" tests/tool tests/unit | grep -qv '/t41-' || echo "$point"
    done | complain_lines "crash points that no test drives"
done
# A point in a test that the library does not pass any more can't fire.
areas=$(sed 's/\..*//' "$scratch/points" | sort -u | paste -sd'|')
grep -rhoE "[\"' =]($areas)\.[a-z]+[\"' :]" tests/unit tests/tool --include='*crash*.c' \
    --include='t41*' --include='t74*' | tr -d "\"' =:" | sort -u |
    comm -23 - "$scratch/points" | complain_lines "tests name crash points that are not there"
printf '%s crash points\n' "$(wc -l <"$scratch/points")"
verdict
