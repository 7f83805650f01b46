#!/bin/sh
# The table of docs/http-api.md is that of libmproxy/daemon/routes.def. To write it anew:
#   sh tests/meta/test_routes.sh . write
. "$(dirname "$0")/lib.sh"

cd "$source_dir"
document=docs/http-api.md
table=libmproxy/daemon/routes.def
awk -f tests/meta/routes.awk "$table" >"$scratch/table"
awk -v table="$scratch/table" '
    /^<!-- table: routes.def -->/ {
        print
        print ""
        while ((getline line < table) > 0)
            print line
        print ""
        inside = 1
        next
    }
    /^<!-- end -->/ { inside = 0 }
    !inside' "$document" >"$scratch/anew"
if [ "$build_dir" = write ]; then
    cp "$scratch/anew" "$document"
    exit 0
fi
diff "$document" "$scratch/anew" | complain_lines \
    "docs/http-api.md is not what $table says; run: sh tests/meta/test_routes.sh . write"
grep -q '^<!-- table: routes.def -->' "$document" || complain "$document has no table of routes"
grep -v '^//' "$table" | grep -vE '^MPX_ROUTE\(MPX_[A-Z| _]*, "/[^"]*", mpx_route_[a-z_]+, MPX_NEED_[A-Z]+, (NULL|MPX_TYPE_JSON|"[^"]+"), [0-9<x ]+, "[^"]+"\)$' |
    complain_lines "lines of $table that no reader understands"
# Every path with its methods once, and no handler that no line names.
sed -n 's/^MPX_ROUTE(\([^"]*\)"\([^"]*\)".*/\2 \1/p' "$table" | sort | uniq -d |
    complain_lines "routes that stand in $table twice"
grep -ohE '^void mpx_route_[a-z_]+\(struct mpx_request' -r libmproxy/daemon --include='*.c' |
    sed 's/^void //; s/(.*//' | while IFS= read -r handler; do
    grep -q "[ ,]$handler," "$table" || echo "$handler"
done | complain_lines "handlers that no route of $table names"
verdict
