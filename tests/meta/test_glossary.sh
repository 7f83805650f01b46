#!/bin/sh
# docs/glossary.md has each word of our own once, in order, with a meaning; every word is used in
# the sources, and every term that docs/architecture.md sets off is in it: its *italic* words, its
# **bold** ones and the nouns of its headings, where they are single words.
. "$(dirname "$0")/lib.sh"

cd "$source_dir"
LC_ALL=C
export LC_ALL
sed -n 's/^\* \*\*\([^*]*\)\*\*: .*/\1/p' docs/glossary.md >"$scratch/words"
[ "$(wc -l <"$scratch/words")" -ge 50 ] || complain "docs/glossary.md has too few words"

grep -nE '^\* ' docs/glossary.md | grep -vE '^[0-9]+:\* \*\*[^*]+\*\*: .' |
    complain_lines "entries of another form than \`* **word**: meaning\`"
sort -c "$scratch/words" 2>"$scratch/order" || complain "not sorted: $(cat "$scratch/order")"
sort "$scratch/words" | uniq -d | complain_lines "words that stand twice"

while IFS= read -r word; do
    grep -rqiwE "$word[a-z]{0,3}" include libmproxy --include='*.h' --include='*.c' ||
        echo "$word"
done <"$scratch/words" | complain_lines "words that no source uses"

# Pictures and tables of files are not prose.
awk '/^```/ { out = !out; next } !out' docs/architecture.md >"$scratch/prose"
{
    grep -oE '(^|[^*`A-Za-z])\*\*?[A-Za-z-]+\.?\*\*?([^*A-Za-z]|$)' "$scratch/prose" |
        sed 's/[^A-Za-z-]//g'
    sed -n 's/^##* //p' "$scratch/prose" | sed -E 's/^(A|An|The) //; s/(, | and )/\n/g' |
        grep -vE '[ `]'
} | tr '[:upper:]' '[:lower:]' | sort -u | while IFS= read -r term; do
    [ "$term" = architecture ] || # its title
        grep -qxE "$term|${term%s}|${term%es}|${term%ing}" "$scratch/words" || echo "$term"
done | complain_lines "terms of docs/architecture.md that docs/glossary.md lacks"
for page in README.md docs/architecture.md; do
    grep -qF 'glossary.md' "$page" || complain "$page does not lead to docs/glossary.md"
done
verdict
