#!/usr/bin/env python3
"""Compare a job's profile with what its ranks computed for themselves.

    check_profile.py PROFILE.json EXPECT_DIR [only]

With `only`, any other MPI function in the profile is a fault, but for MPI_Init that each rank
called once.

EXPECT_DIR holds one RANK.json per rank: {"mpi_send": [hits, out, in], ...}. Checked are the
job's sums and, through min, max and who holds them, the single ranks.
"""
import glob
import json
import os
import sys

KINDS = ("hits", "size_out", "size_in")


def expectations(folder):
    ranks = {}
    for path in glob.glob(os.path.join(folder, "*.json")):
        ranks[int(os.path.basename(path)[:-5])] = json.load(open(path))
    return ranks


def check_counter(name, per_rank, entry, faults):
    """`per_rank` is rank -> value; a rank that never declared a counter is not in n."""
    got = entry["ctype"]["Counter"]["value"]
    if got != sum(per_rank.values()):
        faults.append(f"{name}: {got}, the ranks say {sum(per_rank.values())}")
        return
    seen = entry["ranks"]
    counting = {r: v for r, v in per_rank.items() if v > 0} or per_rank
    if seen["max"] != max(counting.values()):
        faults.append(f"{name}: largest of the ranks {seen['max']}, not {max(counting.values())}")
    if per_rank.get(seen["max_rank"]) != seen["max"]:
        faults.append(f"{name}: rank {seen['max_rank']} does not hold {seen['max']}")
    if seen["min"] != per_rank.get(seen["min_rank"]):
        faults.append(f"{name}: rank {seen['min_rank']} does not hold {seen['min']}")
    if seen["n"] < len([v for v in per_rank.values() if v > 0]):
        faults.append(f"{name}: {seen['n']} ranks")


def check_totals(counters, faults):
    """What is derived: sizes of a function, and totals over all of them."""
    def total(prefix):
        return sum(e["ctype"]["Counter"]["value"] for name, e in counters.items()
                   if name.startswith(prefix))

    wanted = {"total___mpi___hits___total": total("mpi___hits___"),
              "total___mpi___size___total_in": total("mpi___size_in___"),
              "total___mpi___size___total_out": total("mpi___size_out___"),
              "total___mpi___size_total": total("mpi___size___")}
    for name, value in wanted.items():
        got = counters[name]["ctype"]["Counter"]["value"] if name in counters else 0
        if got != value:
            faults.append(f"{name}: {got}, not {value}")
    moved = total("mpi___size_in___") + total("mpi___size_out___")
    if total("mpi___size___") != moved:
        faults.append("mpi___size___FN are not the sums of in and out")


def check_others(names, ranks, counters, faults):
    """Nothing is counted that no rank called: not by MPI's own bindings, nor by our wrappers."""
    prefix = "mpi___hits___"
    for name, entry in counters.items():
        hits = entry["ctype"].get("Counter", {}).get("value")
        if not name.startswith(prefix) or name[len(prefix):] in names:
            continue
        if name[len(prefix):].startswith("mpi_init") and hits == len(ranks):
            continue
        faults.append(f"{name}: {hits}, and no rank called it")


def main():
    profile = json.load(open(sys.argv[1]))
    ranks = expectations(sys.argv[2])
    counters = {e["name"]: e for e in profile["counters"]}
    faults, checked = [], 0
    names = sorted({fn for calls in ranks.values() for fn in calls})
    for fn in names:
        for i, kind in enumerate(KINDS):
            per_rank = {r: calls[fn][i] for r, calls in ranks.items() if fn in calls}
            name = f"mpi___{kind}___{fn}"
            if name not in counters:
                if sum(per_rank.values()):
                    faults.append(f"{name}: not in the profile")
                continue
            check_counter(name, per_rank, counters[name], faults)
            checked += 1
    if "only" in sys.argv[3:]:
        check_others(names, ranks, counters, faults)
    check_totals(counters, faults)
    if profile["desc"]["size"] != len(ranks):
        faults.append(f"size {profile['desc']['size']}, {len(ranks)} ranks")
    if profile["partial"] or profile["unheard"]:
        faults.append("the profile is partial")
    print("\n".join(faults) or f"{checked} counters of {len(ranks)} ranks are exact")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
