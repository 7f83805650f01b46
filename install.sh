#!/bin/sh
# Build mproxy and install it: ./install.sh PREFIX
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=cmake/packages.sh
. "$here/cmake/packages.sh"
packages_say=all

usage() {
    cat <<TXT
Usage: ./install.sh [-B BUILD_DIR] PREFIX [CMAKE_OPTION...]

Configures, builds and installs mproxy under PREFIX: bin, lib, include, share.
On Debian packages that are missing are installed (as root or by sudo); elsewhere they
are named. The last line of a success is: Sucessfully deployed
TXT
}

build_dir=$here/build/install
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help) usage; exit 0 ;;
    -B) build_dir=${2:?-B needs a folder}; shift 2 ;;
    -*) echo "install.sh: unknown option '$1'" >&2; usage >&2; exit 2 ;;
    *) break ;;
    esac
done
if [ $# -lt 1 ] || [ -z "$1" ]; then
    echo "install.sh: the PREFIX to install to is missing" >&2
    usage >&2
    exit 2
fi
mkdir -p -- "$1"
prefix=$(CDPATH='' cd -- "$1" && pwd)
shift

need build
cd "$here"
cmake --preset install -B "$build_dir" -DCMAKE_INSTALL_PREFIX="$prefix" "$@"
cmake --build "$build_dir" --parallel "$(jobs)"
cmake --install "$build_dir"

echo
echo "Installed under $prefix:"
echo "  tools      $(cd "$prefix/bin" && echo *)"
echo "  exporters  $(cd "$prefix/lib" && echo libmetricproxy-exporter-*.so |
    sed 's/libmetricproxy-exporter-//g; s/\.so//g')"
if [ -s "$build_dir/left-out.txt" ]; then
    echo "Left out:"
    sed 's/^/  /' "$build_dir/left-out.txt"
    find_missing optional
    [ -z "$missing_what" ] || echo "To have it, install as root and start again:
  Debian, Ubuntu:  apt-get update && apt-get install -y --no-install-recommends$missing_apt
  Fedora, RHEL:    dnf install -y$missing_dnf"
fi
case :$PATH: in
*:"$prefix/bin":*) ;;
*) echo "For your shell: export PATH=\"$prefix/bin:\$PATH\""
    echo "To compile with it: export PKG_CONFIG_PATH=\"$prefix/lib/pkgconfig\"" ;;
esac
echo 'Sucessfully deployed'
