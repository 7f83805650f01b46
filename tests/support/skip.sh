# The one rule of what a test script may leave out; suite.h has it for C. Sourced by lib.sh of
# the tools' tests and of the meta tests. A skip is printed as `SKIP: needs THING: WHY`, and is
# a failure where MPROXY_REQUIRE lists THING or `all`.

# skip_part THING WHY: a part of the test is left out, or the test ends as failed.
skip_part() {
    case ",${MPROXY_REQUIRE:-}," in
    *",$1,"* | *,all,*)
        echo "FAILED: MPROXY_REQUIRE wants $1, and it is not here: $2" >&2
        exit 1
        ;;
    esac
    echo "SKIP: needs $1: $2"
}

# skip THING WHY: ends the test as skipped, or as failed.
skip() {
    skip_part "$@"
    exit 77
}
