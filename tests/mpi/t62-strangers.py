"""A part of t62-strangers.sh."""
import json
import sys

counters = {e["name"]: e["ctype"] for e in json.load(open(sys.argv[1]))["counters"]}
got = counters["mpi___hits___mpi_isend"]["Counter"]["value"]
assert got == 40, got
