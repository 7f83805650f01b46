#!/bin/sh
# The tables of docs/metrics.md are those of libmproxy/tables. To write them anew:
#   sh tests/meta/test_metrics.sh . write
. "$(dirname "$0")/lib.sh"

cd "$source_dir"
document=docs/metrics.md
# Between `<!-- table: FILE -->`, or `<!-- reasons: FILE -->`, and `<!-- end -->` stands what
# FILE says.
awk '
    /^<!-- (table|reasons): / {
        print
        print ""
        script = $2 == "table:" ? "metrics" : "reasons"
        command = "awk -f tests/meta/" script ".awk libmproxy/tables/" $3
        while ((command | getline line) > 0)
            print line
        close(command)
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
    "docs/metrics.md is not what the tables say; run: sh tests/meta/test_metrics.sh . write"
for id in $(sed -nE 's/^MPX_SELF\(([A-Z_0-9]+),.*/\1/p' libmproxy/tables/self.def); do
    grep -qE "tell\(self, $id," libmproxy/self/self.c || echo "$id"
done | complain_lines "lines of tables/self.def that self/self.c never tells"
# What the proxy tells of itself stands in the tables only.
grep -nE '"mproxy_[a-z_]+' libmproxy/self/self.c |
    complain_lines "metrics of the proxy itself beside tables/self.def"
verdict
