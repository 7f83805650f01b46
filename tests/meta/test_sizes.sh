#!/bin/sh
# The limits of CONTRIBUTING.md, "Size": a function of more than 100 lines or a file of more
# than 800 fails; over 60 and 600 they are shown.
. "$(dirname "$0")/lib.sh"

cd "$source_dir"
# shellcheck disable=SC2046 # a list of words
awk '
    FNR == 1 { start = 0 }
    /^(static |extern |[A-Za-z_])/ { head = $0 }
    /^\{/ { start = FNR; name = head }
    /^\}/ && start {
        if (FNR - start > 60)
            print FNR - start, FILENAME ":" start, name
        start = 0
    }' $(sources | grep -E '\.(c|cc)$') | sort -rn >"$scratch/functions"
# shellcheck disable=SC2046
wc -l $(sources) | awk '$2 != "total" && $1 > 600 { print $1, $2 }' | sort -rn \
    >"$scratch/files"

echo "Functions over 60 lines:"
cat "$scratch/functions"
echo "Files over 600 lines:"
cat "$scratch/files"
awk '$1 > 100' "$scratch/functions" | complain_lines "functions over 100 lines"
awk '$1 > 800' "$scratch/files" | complain_lines "files over 800 lines"
verdict
