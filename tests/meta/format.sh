#!/bin/sh
# Every source is as clang-format with our .clang-format writes it.
. "$(dirname "$0")/lib.sh"

cd "$source_dir"
command -v clang-format >/dev/null || complain "clang-format is missing"
# shellcheck disable=SC2046 # a list of words
clang-format --dry-run -Werror $(sources) 2>&1 || complain "run: clang-format -i FILE"
verdict
