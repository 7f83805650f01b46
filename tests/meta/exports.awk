# Prints the names of the functions and variables that a header marks with MPROXY_API.
/^[ \t]*(\/\/|\/?\*)/ { next }
/^MPROXY_API/ { statement = "" ; open = 1 }
open {
    statement = statement " " $0
    if (statement ~ /[(;]/) {
        sub(/[ \t]*(__attribute__|[(;]).*/, "", statement)
        n = split(statement, word, /[ \t*]+/)
        print word[n]
        open = 0
    }
}
