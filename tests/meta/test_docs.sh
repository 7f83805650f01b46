#!/bin/sh
# Documents keep their word: links lead somewhere, metric names exist, the README's commands
# are those that run.
. "$(dirname "$0")/lib.sh"

cd "$source_dir"
documents=$(find . -name '*.md' -not -path './build/*' -not -path './.git/*' | sort)

for document in $documents; do
    folder=$(dirname "$document")
    grep -oE '\]\([^)#]+' "$document" | sed 's/^](//' |
        grep -vE '^(https?|mailto):' | sort -u | while IFS= read -r target; do
        [ -e "$folder/$target" ] || echo "$document: $target"
    done
done | complain_lines "links that lead nowhere"

# Names of ours in backquotes stand in the sources, where the tables are.
for document in $documents; do
    grep -oE '`(proxy|job_process|mproxy)_[a-z0-9_]+(\{[^`]*\})?`' "$document" |
        tr -d '`' | sed 's/{.*//' | grep -E '_(total|bytes|percent|seconds|rate|ghz|nodes)$' |
        sort -u | while IFS= read -r name; do
        grep -rqF "$name" libmproxy --include='*.c' --include='*.def' --include='*.h' ||
            echo "$document: $name"
    done
done | complain_lines "metrics that do not exist"

# A decision has a number of its own, in its title and in the list, which is sorted by it.
for decision in docs/decisions/0*.md; do
    number=$(basename "$decision" | cut -c1-4)
    head -n 1 "$decision" | grep -q "^# $number: " || echo "$decision: its title"
    grep -qF "* [$number]($(basename "$decision"))" docs/decisions/README.md ||
        echo "$decision: its line in README.md"
    [ "$(ls docs/decisions | grep -c "^$number-")" = 1 ] || echo "$decision: a number twice"
done | complain_lines "decisions without a number of their own"
grep -oE '^\* \[[0-9]{4}\]' docs/decisions/README.md | sort -cu 2>"$scratch/order" ||
    complain "docs/decisions/README.md is not sorted: $(cat "$scratch/order")"

# The steps of a walk, tables under `<!-- walk -->`: each file defines its function.
awk -F'`' '/^<!-- walk -->/ { walk = 1 } /^#/ { walk = 0 } walk && NF > 4 { print $(NF - 3), $(NF - 1) }' \
    docs/architecture.md >"$scratch/walk"
[ -s "$scratch/walk" ] || complain "docs/architecture.md has no walk"
while read -r file function; do
    grep -qE "^[a-z].*[ *]$function\(" "libmproxy/$file" 2>/dev/null ||
        echo "libmproxy/$file: $function()"
done <"$scratch/walk" | complain_lines "steps of docs/architecture.md that are not there"

for command in './run demo' './run check' './install.sh'; do
    grep -qF "$command" README.md || complain "README.md does not name $command"
done
grep -qF './run check' .ci/run || [ ! -e .ci/run ] || complain ".ci/run does not run ./run check"
verdict
