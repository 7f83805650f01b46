#!/usr/bin/env python3
"""What a profile of a program that we did not write must show, and a line about it.

    plausible.py PROFILE.json RANKS

What is sent point to point is received: as many messages and bytes. What all ranks hand to an
allreduce they get; every rank initialises and finalises MPI once; time in MPI is less than
the ranks' walltime.
"""
import json
import sys

SENDS = "send bsend rsend ssend isend ibsend irsend issend send_init bsend_init rsend_init ssend_init"
RECEIVES = "recv irecv mrecv imrecv recv_init"
BOTH = "sendrecv sendrecv_replace"


def main():
    profile = json.load(open(sys.argv[1]))
    ranks = int(sys.argv[2])
    values = {e["name"]: e["ctype"]["Counter"]["value"] for e in profile["counters"]
              if "Counter" in e["ctype"]}
    faults = []

    def get(kind, names):
        return sum(values.get(f"mpi___{kind}___mpi_{n}", 0) for n in names.split())

    def same(what, a, b):
        if a != b:
            faults.append(f"{what}: {a:.0f} and {b:.0f}")

    sent, received = get("size_out", SENDS + " " + BOTH), get("size_in", RECEIVES + " " + BOTH)
    same("bytes sent and received", sent, received)
    if not any(get("hits", n) for n in ("send_init", "recv_init")):
        same("messages sent, and received or cancelled", get("hits", SENDS),
             get("hits", RECEIVES) - get("hits", "cancel"))
    for fn in ("allreduce", "alltoall"):
        same(f"bytes into and out of {fn}", get("size_out", fn), get("size_in", fn))
    same("initialisations and ranks", get("hits", "init init_thread"), ranks)
    same("ends and ranks", get("hits", "finalize"), ranks)
    same("processes that started and ended", values["has_started"], values["has_finished"])
    calls, seconds = values["total___mpi___hits___total"], values["total___mpi___time___total"]
    wall = values["walltime"] * ranks
    if not 0 < seconds < wall * 1.05 + ranks:
        faults.append(f"{seconds:.3f} s in MPI of {wall:.3f} s")
    names = {n[len("mpi___hits___mpi_"):]: v for n, v in values.items()
             if n.startswith("mpi___hits___") and v}
    top = sorted(names, key=names.get, reverse=True)[:3]
    print(f"{ranks} | {calls:.0f} | {len(names)} | {', '.join(f'{n} {names[n]:.0f}' for n in top)} | "
          f"{sent:.0f} | {values['total___mpi___size_total']:.0f} |")
    print("\n".join(faults), file=sys.stderr, end="\n" if faults else "")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
