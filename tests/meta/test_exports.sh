#!/bin/sh
# Each shared library exports exactly what the headers mark with MPROXY_API, and what is not
# static is named by another file. How many private functions one other file alone calls is
# shown: a hint that two files are one.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/externs.sh"

# promised OUT HEADER...
promised() {
    promised_out=$1
    shift
    awk -f "$source_dir/tests/meta/exports.awk" "$@" | sort -u >"$promised_out"
}

# exported LIBRARY [NODE]: what `nm` finds, version nodes themselves left out.
exported() {
    nm -D --defined-only --with-symbol-versions "$build_dir/lib/$1" |
        awk -v node="${2:-}" '$2 != "A" {
            split($3, part, "@+")
            if (node == "" || part[2] == node)
                print part[1]
        }' | sort -u
}

# same LIBRARY NODE: compares the two lists.
same() {
    comm -23 "$scratch/promised" "$scratch/exported" |
        complain_lines "$1: in a header, not exported ($2)"
    comm -13 "$scratch/promised" "$scratch/exported" |
        complain_lines "$1: exported, in no header ($2)"
}

cd "$source_dir"
client_headers='include/mproxy/base.h include/mproxy/job.h include/mproxy/client.h
include/mproxy/inline.h'
promised "$scratch/promised" $client_headers
# The client checks names where they enter, so these of metric.h are in its library.
name_functions='mproxy_metric_base_length mproxy_metric_check_name'
add() { printf '%s\n' $name_functions | sort - "$1" >"$1.more" && mv "$1.more" "$1"; }
drop() { printf '%s\n' $name_functions | comm -13 - "$1" >"$1.less" && mv "$1.less" "$1"; }
add "$scratch/promised"
exported libmproxy_client.so MPROXY_0 >"$scratch/exported"
same libmproxy_client.so MPROXY_0

promised "$scratch/promised" libmproxy/segment/*.h libmproxy/writer/*.h libmproxy/metric/*.h
exported libmproxy_client.so MPROXY_PRIVATE >"$scratch/exported"
same libmproxy_client.so MPROXY_PRIVATE

core_headers=$(ls include/mproxy/*.h | grep -vE '/(base|job|client|inline|mproxy)\.h$')
promised "$scratch/promised" $core_headers
drop "$scratch/promised"
exported libmproxy.so >"$scratch/exported"
same libmproxy.so MPROXY_0

# The older API, and the C library's functions that its process exporter stands in for.
awk '/^[a-z].*\(/ { sub(/\(.*/, ""); n = split($0, word, /[ *]+/); print word[n] }' \
    bindings/legacy/metric_proxy_client.h | sort -u >"$scratch/promised"
exported libproxyclient.so >"$scratch/exported"
comm -23 "$scratch/promised" "$scratch/exported" |
    complain_lines "libproxyclient.so: in its header, not exported"
comm -13 "$scratch/promised" "$scratch/exported" |
    grep -vE '^(_exit|_Exit|quick_exit|clone|daemon|vfork|prctl|syscall|exec(l|le|lp|v|ve|veat|vp|vpe)|fexecve|__cyg_profile_func_(enter|exit))$' |
    complain_lines "libproxyclient.so: exported beside its header"

externs "$source_dir" "$build_dir" >"$scratch/externs"
# Left out: what dlsym() loads by its name, files that nobody uses yet, and functions whose
# caller is on its way.
waiting='^(mpx_runs_join) '
awk 'NR == FNR { used[$5] += $1; next }
    $1 == 0 && $2 == 0 && used[$5] && $4 != "mpx_ebpf_backend" { print $4, "in", $5 }' \
    "$scratch/externs" "$scratch/externs" | grep -vE "$waiting" |
    complain_lines "private, and no other file names it: make it static"
[ -s "$scratch/externs" ] || complain "no private function found in $build_dir"
externs_summary "$scratch/externs"

[ -s "$scratch/promised" ] || complain "no function found in the headers"
verdict
