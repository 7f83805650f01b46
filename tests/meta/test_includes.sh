#!/bin/sh
# Who may include whom: libmproxy/README.md has the order of the modules, from which this
# test reads it, and the pairs that are allowed beside it.
. "$(dirname "$0")/lib.sh"

cd "$source_dir"
# Lines "LEVEL: module module" and "allowed: module -> module" of the code block.
sed -n '/^```layers/,/^```/p' libmproxy/README.md | grep -v '^```' >"$scratch/layers"
[ -s "$scratch/layers" ] || complain "libmproxy/README.md has no block of layers"

grep -nE '^ *# *include' -r libmproxy include --include='*.[ch]' --include='*.cc' |
    awk -F: -v layers="$scratch/layers" '
    function module_of(header,    part) {
        if (header ~ /^mproxy\//) {
            sub(/^mproxy\//, "", header)
            sub(/\.h$/, "", header)
            return header == "job" ? "base" : header == "inline" ? "client" : header
        }
        split(header, part, "/")
        return part[1]
    }
    BEGIN {
        while ((getline line < layers) > 0) {
            n = split(line, word, /[ :]+/)
            if (word[1] == "allowed")
                allowed[word[2] " " word[4]] = 1
            else
                for (i = 2; i <= n; i++)
                    level[word[i]] = word[1] + 0
        }
    }
    {
        file = $1
        header = $3
        sub(/^[^"<]*["<]/, "", header)
        sub(/[">].*/, "", header)
        own = file
        if (file ~ /^include\//) {
            sub(/^include\//, "", own)
            own = module_of(own)
            if ($3 ~ /"/) {
                print file ": quotes in a public header: " header
                next
            }
        } else {
            sub(/^libmproxy\//, "", own)
            sub(/\/.*/, "", own)
        }
        # mproxy.h only includes the others; system headers are judged elsewhere.
        if (own == "mproxy" || ($3 !~ /"/ && header !~ /^mproxy\//) || header ~ /^tables\//)
            next
        other = module_of(header)
        if (!(own in level)) {
            print file ": module " own " is in no layer"
        } else if (!(other in level)) {
            print file ": includes " header ", which is in no layer"
        } else if (own != other && level[other] >= level[own] &&
                   !((own " " other) in allowed)) {
            print file ": " own " may not include " header
        }
    }' | sort -u | complain_lines "against the order of modules"

# One file each, so that they can be replaced or left out.
only_one() {
    only_one_files=$(grep -lE "^ *# *include *<$1>" -r libmproxy bindings tools || true)
    [ "$(printf '%s' "$only_one_files" | grep -c .)" -le "${2:-1}" ] ||
        complain "<$1> is included by more than one file:" $only_one_files
}
only_one 'microhttpd\.h'
only_one 'curl/curl\.h'
grep -lE '^ *# *include *<jansson\.h>' -r libmproxy include bindings tools |
    grep -v '_json\.c$' | complain_lines "jansson outside of *_json.c"

# Tools and bindings see public headers and their own.
grep -nE '^ *# *include *[<"]' -r tools bindings --include='*.[ch]' | while IFS= read -r line; do
    file=${line%%:*}
    header=$(printf '%s' "$line" | sed 's/^[^"<]*["<]//; s/[">].*//')
    case $line in
    *\"*) [ -f "$(dirname "$file")/$header" ] || [ -f "${file%%/*}/$header" ] ||
        [ -f "tools/common/$header" ] || case $header in *.def) true ;; *) false ;; esac ||
        echo "$file includes \"$header\"" ;;
    *'<'base/* | *'<'segment/* | *'<'launch/*) echo "$file includes <$header>" ;;
    esac
done | complain_lines "tools and bindings use <mproxy/*.h> only"
verdict
