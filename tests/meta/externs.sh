# Sourced: externs SOURCE BUILD prints a line for each private function and variable of libmproxy
# that has a symbol of its own, from the objects of a build:
#     FILES TESTS KIND SYMBOL DEFINED-IN NAMED-BY...
# FILES is the number of other files of ours that name it, TESTS that of tests and benchmarks,
# KIND what nm says: T for a function.
externs() {
    find "$2" -name '*.o' -path '*/CMakeFiles/*' -exec nm -A -g {} + 2>/dev/null |
        awk -v source="$1/" -v build="$2/" '
        # BUILD/FOLDER/CMakeFiles/TARGET.dir/REST.c.o is of the source FOLDER/REST.c.
        function source_of(object) {
            sub(build, "", object)
            sub(/CMakeFiles\/[^\/]*\.dir\//, "", object)
            sub(/\.o$/, "", object)
            return object
        }
        # A build keeps the objects of sources that are gone.
        function is_there(file,    line) {
            if (!(file in there)) {
                there[file] = file !~ /^libmproxy\// || (getline line < (source file)) >= 0
                close(source file)
            }
            return there[file]
        }
        { split($0, at, ":"); file = source_of(at[1]); kind = $(NF - 1); name = $NF }
        name !~ /^mpx_/ || !is_there(file) { next }
        kind ~ /^[TDBR]$/ && file ~ /^libmproxy\// { home[name] = file; what[name] = kind }
        kind == "U" && !((name, file) in seen) {
            seen[name, file] = 1
            if (file ~ /^tests\//)
                tests[name]++
            else {
                count[name]++
                from[name] = from[name] " " file
            }
        }
        END {
            for (name in home)
                print count[name] + 0, tests[name] + 0, what[name], name, home[name] from[name]
        }' | sort -k5,5 -k4,4
}

# Their number, and how many of them one other file names: one of another folder, whose module is
# used by it, or one of their own.
externs_summary() {
    awk '
    function folder(file) { sub(/[^\/]*$/, "", file); return file }
    { all++; one += $1 == 1; across += $1 == 1 && folder($5) != folder($6) }
    END {
        printf "%d private functions and variables, %d (%d %%) with one calling file",
            all, one, all ? 100 * one / all : 0
        printf ", %d of them in their own folder (%d %%)\n", one - across,
            all ? 100 * (one - across) / all : 0
    }' "$1"
}

# Circles of calls between the files of one folder, one a line.
externs_circles() {
    awk '
    $3 == "T" {
        for (i = 6; i <= NF; i++) {
            folder = $5
            caller = $i
            sub(/[^\/]*$/, "", folder)
            sub(/[^\/]*$/, "", caller)
            if (folder == caller) {
                reaches[$i, $5] = 1
                files[$i] = files[$5] = 1
            }
        }
    }
    END {
        for (via in files)
            for (a in files)
                if ((a, via) in reaches)
                    for (b in files)
                        if ((via, b) in reaches)
                            reaches[a, b] = 1
        for (a in files) {
            if (!((a, a) in reaches) || a in told)
                continue
            line = ""
            for (b in files)
                if ((a, b) in reaches && (b, a) in reaches) {
                    told[b] = 1
                    line = line " " b
                }
            print substr(line, 2)
        }
    }' "$1"
}

# Files all of whose functions one file of their folder calls, and it alone: FILE OF-FILE.
# The concept may end there, or the file was cut for its size.
externs_satellites() {
    awk '
    function folder(file) { sub(/[^\/]*$/, "", file); return file }
    { all[$5]++ }
    $1 == 1 && folder($6) == folder($5) { of[$5] = $6; one[$5, $6]++ }
    END {
        for (file in of)
            if (one[file, of[file]] == all[file])
                print file, of[file]
    }' "$1" | sort
}
