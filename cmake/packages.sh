# Sourced by install.sh, run and .ci/run: makes sure that the packages of cmake/packages.txt
# are there. POSIX sh; the caller has set `here` to the top of the sources.

packages_list="$here/cmake/packages.txt"

# has_module NAME: whether a pkg-config module is there, also without pkg-config itself.
has_module() {
    pkg-config --exists "$1" 2>/dev/null && return 0
    for has_module_dir in /usr/lib /usr/lib/* /usr/lib64 /usr/share /usr/local/lib \
        /usr/local/lib/* /usr/local/lib64 /usr/local/share; do
        [ -f "$has_module_dir/pkgconfig/$1.pc" ] && return 0
    done
    return 1
}

# has_version COMMAND:VERSION: whether `COMMAND --version` says that or later.
has_version() {
    has_version_cmd=${1%%:*}
    command -v "$has_version_cmd" >/dev/null 2>&1 || return 1
    "$has_version_cmd" --version 2>/dev/null | awk -v want="${1#*:}" '
        NR == 1 {
            match($0, /[0-9]+(\.[0-9]+)+/)
            split(substr($0, RSTART, RLENGTH), have, ".")
            split(want, least, ".")
            for (i = 1; i <= 2; i++)
                if (have[i] + 0 != least[i] + 0)
                    exit !(have[i] + 0 > least[i] + 0)
        }'
}

# is_there PROBE: whether what the second column of the list names is on this system.
is_there() {
    case $1 in
    cmd:*) command -v "${1#cmd:}" >/dev/null 2>&1 ;;
    pc:*) has_module "${1#pc:}" ;;
    file:*) [ -e "${1#file:}" ] ;;
    ver:*) has_version "${1#ver:}" ;;
    *) echo "$packages_list: unknown probe '$1'" >&2; exit 1 ;;
    esac
}

# find_missing KIND...: sets missing_apt, missing_dnf and missing_what to what is not there.
find_missing() {
    missing_apt='' missing_dnf='' missing_what=''
    for find_missing_kind in "$@"; do
        while IFS='|' read -r kind probe apt dnf what; do
            # unquoted: takes the blanks around the columns away
            set -- $kind; [ "${1:-#}" = "$find_missing_kind" ] || continue
            set -- $probe; is_there "$1" && continue
            set -- $apt; missing_apt="$missing_apt $*"
            set -- $dnf; missing_dnf="$missing_dnf $*"
            set -- $what; missing_what="$missing_what
  $*"
        done <"$packages_list"
    done
}

# Debian and its like, where packages may be installed without asking.
is_debian() { [ -f /etc/debian_version ] && command -v apt-get >/dev/null 2>&1; }

# name_missing: all that is missing, and the line to run: the one of this system, or those of
# both families with packages_say=all or on a system that is neither.
name_missing() {
    apt_line="apt-get update && apt-get install -y --no-install-recommends$missing_apt"
    dnf_line="dnf install -y$missing_dnf"
    echo "Missing on this system:$missing_what" >&2
    echo "Install it as root and start again:" >&2
    if is_debian && [ "${packages_say:-}" != all ]; then
        echo "  $apt_line" >&2
    elif command -v dnf >/dev/null 2>&1 && [ "${packages_say:-}" != all ]; then
        echo "  $dnf_line" >&2
    else
        echo "  Debian, Ubuntu:  $apt_line" >&2
        echo "  Fedora, RHEL:    $dnf_line" >&2
    fi
}

# may_become_root: sets as_root to what stands before a command; false without rights.
may_become_root() {
    as_root=''
    [ "$(id -u)" = 0 ] && return 0
    command -v sudo >/dev/null 2>&1 || return 1
    as_root=sudo
    sudo -n true 2>/dev/null || [ -t 0 ]
}

# need KIND...: installs on Debian what is missing; elsewhere, or without rights, says what
# to run and exits with 1.
need() {
    find_missing "$@"
    [ -n "$missing_what" ] || return 0
    if ! is_debian || ! may_become_root; then
        name_missing
        exit 1
    fi
    echo "Installing:$missing_apt" >&2
    # Old lists may still do where the network is slow or gone.
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update >&2 ||
        echo "apt-get update did not work, going on with the lists that are here" >&2
    # shellcheck disable=SC2086 # a list of words
    if ! $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y \
        --no-install-recommends $missing_apt >&2; then
        name_missing
        exit 1
    fi
    find_missing "$@"
    if [ -n "$missing_what" ]; then
        echo "Installed, but still not found:$missing_what" >&2
        exit 1
    fi
}

# jobs: as many as there are processors.
jobs() { nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1; }
