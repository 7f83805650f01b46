#!/bin/sh
# ./run check ends with what was left out and why, also of a test that went on without it,
# and with the exit status of ctest.
. "$(dirname "$0")/lib.sh"

cat >"$scratch/CMakeLists.txt" <<'TXT'
cmake_minimum_required(VERSION 3.25)
project(few_tests NONE)
enable_testing()
add_test(NAME few.whole COMMAND sh -c "echo 'SKIP: needs moon: not full'; exit 77")
add_test(NAME few.suite COMMAND sh -c "echo 'SKIP: needs sun: it is night'; exit 77")
add_test(NAME few.part COMMAND sh -c "echo 'SKIP: needs tide: too low'; true")
add_test(NAME few.good COMMAND sh -c "echo all is well")
add_test(NAME few.bad COMMAND sh -c "exit 3")
set_tests_properties(few.whole few.suite PROPERTIES SKIP_RETURN_CODE 77)
TXT
cmake -G Ninja -S "$scratch" -B "$scratch/build" >"$scratch/cmake.log" 2>&1 ||
    { cat "$scratch/cmake.log"; exit 1; }

# check CTEST...: its output in $scratch/out; false as ctest is.
check() { "$source_dir/run" check --build "$scratch/build" "$@" >"$scratch/out" 2>&1; }
says() { grep -qE -e "$1" "$scratch/out" || { cat "$scratch/out"; complain "no '$1'"; }; }

check -E few.bad || { cat "$scratch/out"; complain "skipped tests made it fail"; }
says '^Skipped, in whole or in part:$'
says '^  few\.whole +needs moon: not full$'
says '^  few\.suite +needs sun: it is night$'
says '^  few\.part +needs tide: too low$'

check -R few.good || complain "a good test made it fail"
if grep -q '^Skipped, in whole' "$scratch/out"; then
    complain "something is skipped where nothing is"
fi

if check -R few.bad; then
    complain "a failed test made no failure"
fi
verdict
