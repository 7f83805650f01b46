#!/bin/sh
# debian11.sh FOLDER: unpacks what Debian 11 has of a loader, its C library (glibc 2.31) and
# some programs, downloaded with the system's own apt from the archive it uses. Kept in
# ${XDG_CACHE_HOME:-~/.cache}/mproxy between runs. Exit status 1: can't be had.
set -eu
cache=${XDG_CACHE_HOME:-$HOME/.cache}/mproxy/debian11
mirror=${MIRROR:-http://deb.debian.org/debian}
packages='libc6 libcrypt1 libgcc-s1 dash bash coreutils libtinfo6 libselinux1 libpcre2-8-0
    libgmp10 libacl1 libattr1'

download() {
    mkdir -p "$cache/lists/partial" "$cache/archives/partial" "$cache/new"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bullseye main" \
        >"$cache/sources.list"
    set -- -q -o Dir::Etc::sourcelist="$cache/sources.list" -o Dir::Etc::sourceparts=/nonexistent \
        -o Dir::State::lists="$cache/lists" -o Dir::Cache="$cache" -o APT::Sandbox::User=root \
        -o Dir::State::status=/dev/null -o Acquire::Languages=none
    apt-get "$@" update
    (cd "$cache/new" && apt-get "$@" download $packages)
    rm -rf "$cache/lists" "$cache/archives"
    mv "$cache/new" "$cache/packages"
}

[ -d "$cache/packages" ] || download >&2 || exit 1
for package in "$cache"/packages/*.deb; do
    dpkg-deb -x "$package" "$1"
done
