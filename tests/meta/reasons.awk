# Prints a table of Markdown from a table of reasons: the word, what it means.
BEGIN { print "| reason | |"; print "|---|---|" }
/^MPX_[A-Z_]*\(.*"\)$/ {
    n = split($0, quoted, "\"")
    print "| `" quoted[2] "` | " quoted[n - 1] " |"
}
