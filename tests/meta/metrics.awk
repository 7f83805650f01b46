# Prints a table of Markdown from a table of metrics: name, type, text.
BEGIN { print "| name | type | |"; print "|---|---|---|" }
/^MPX_[A-Z_]*\(.*"\)$/ {
    gsub(/\\"/, "\001")
    split($0, quoted, "\"")
    type = $0 ~ /GAUGE,/ ? "gauge" : $0 ~ /HISTOGRAM,/ ? "histogram" : "counter"
    n = split($0, all, "\"")
    name = quoted[2]
    text = all[n - 1]
    gsub("\001", "\"", name)
    gsub("\001", "\"", text)
    print "| `" name "` | " type " | " text " |"
}
