#!/bin/sh
# The files of a folder call each other in one direction: a reader can begin at the bottom.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/externs.sh"

externs "$source_dir" "$build_dir" >"$scratch/externs"
[ -s "$scratch/externs" ] || complain "no private function found in $build_dir"
externs_circles "$scratch/externs" >"$scratch/circles"
complain_lines "files that call each other in a circle" <"$scratch/circles"
verdict
