#!/bin/sh
# Every option of --help is in the manual page and in the completion, and vice versa.
. "$(dirname "$0")/lib.sh"

# options_in <TEXT: the options that a text names, one a line.
options_in() {
    { grep -oE '(^|[^A-Za-z0-9_-])--?[A-Za-z][A-Za-z0-9-]*' || true; } |
        sed 's/^[^-]//' | sort -u
}

for tool in proxy-v2 proxy_run proxyctl proxy_exporter_strace; do
    [ -x "$build_dir/bin/$tool" ] || continue # left out
    page=$build_dir/share/man/man1/$tool.1
    completion=$build_dir/share/bash-completion/completions/$tool
    "$build_dir/bin/$tool" --help >"$scratch/help" || complain "$tool --help failed"
    options_in <"$scratch/help" | sed -n '/^--/p' >"$scratch/in_help"
    [ -s "$scratch/in_help" ] || complain "$tool --help shows no option"
    if [ ! -f "$page" ]; then
        complain "$tool has no manual page"
        continue
    fi
    # In a page a hyphen is written \-, and \fB--x\fR has a letter before the hyphens.
    sed 's/\\-/-/g; s/\\f[BIRP]/ /g' "$page" | options_in >"$scratch/in_page"
    comm -23 "$scratch/in_help" "$scratch/in_page" |
        complain_lines "$tool: in --help, not in $page"
    sed -n '/^--/p' "$scratch/in_page" | comm -13 "$scratch/in_help" - |
        complain_lines "$tool: in the manual page, not in --help"
    sed -n '/^--/p' "$scratch/in_help" | while IFS= read -r option; do
        grep -qF -e "$option" "$completion" || echo "$option"
    done | complain_lines "$tool: in --help, not in the completion"
    version=$("$build_dir/bin/$tool" --version | head -n 1)
    case $version in
    *"$(sed -n 's/.*MPROXY_VERSION "\(.*\)"/\1/p' "$source_dir/include/mproxy/base.h")"*) ;;
    *) complain "$tool --version says '$version'" ;;
    esac
done
verdict
