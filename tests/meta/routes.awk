# Prints the table of docs/http-api.md from daemon/routes.def.
function size_of(text,    part) {
    if (split(text, part, / *<< */) == 2)
        return part[2] == 20 ? part[1] " MiB" : part[1] " KiB"
    return text " bytes"
}
BEGIN {
    print "| request | who | body | |"
    print "|---|---|---|---|"
    who["NOTHING"] = "anyone, also before the first round"
    who["READ"] = "readers"
    who["CHANGE"] = "who may change"
}
/^MPX_ROUTE\(/ {
    split($0, quoted, "\"")
    path = quoted[2]
    methods = quoted[1]
    sub(/^MPX_ROUTE\(/, "", methods)
    gsub(/MPX_|, *$/, "", methods)
    gsub(/ \| /, ", ", methods)
    n = split($0, all, "\"")
    text = all[n - 1]
    rest = substr($0, index($0, "\"" path "\"") + length(path) + 2)
    split(rest, field, /, */)
    need = field[3]
    sub(/^MPX_NEED_/, "", need)
    body = field[4]
    if (body ~ /^"/) { # types may hold commas
        split(rest, inner, "\"")
        body = inner[2]
        limit = inner[3]
    } else {
        limit = substr(rest, index(rest, body) + length(body))
    }
    sub(/^, */, "", limit)
    sub(/,.*/, "", limit)
    gsub(/"/, "", body)
    body = body == "NULL" ? "" : body == "MPX_TYPE_JSON" ? "application/json" : body
    if (body != "")
        body = "`" body "`" (limit == "0" ? "" : " up to " size_of(limit))
    print "| `" methods " " path "` | " who[need] " | " body " | " text " |"
}
