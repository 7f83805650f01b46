# Prints the fenced blocks of a Markdown file that stand under a line `<!-- MARK -->`, with
# -v mark=MARK. With -v to=PREFIX each block goes to PREFIX followed by its number.
index($0, "<!-- " mark " -->") { wanted = 1; next }
wanted && /^```/ {
    if (!inside) {
        inside = 1
        number++
    } else {
        inside = wanted = 0
    }
    next
}
inside {
    if (to != "")
        print > (to number)
    else
        print
}
