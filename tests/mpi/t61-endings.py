"""A part of t61-endings.sh."""
import json
import sys

counters = {e["name"]: e["ctype"] for e in json.load(open(sys.argv[1]))["counters"]}
for fn, hits in (("mpi_irecv", 20), ("mpi_isend", 20), ("mpi_sendrecv", 2)):
    got = counters[f"mpi___hits___{fn}"]["Counter"]["value"]
    assert got == hits, (fn, got, hits)
