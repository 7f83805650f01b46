#!/bin/sh
# Every Python file of the tree is read by pyflakes, and may not import all of a module: who
# uses what must be seen. SOURCE
set -eu
cd "${1:?the source folder}"
files=$(git ls-files -co --exclude-standard '*.py')
status=0
# unquoted: one word a file
pyflakes3 $files || status=1
if grep -nE '^from .* import \*' $files; then
    echo "name what is imported"
    status=1
fi
exit $status
