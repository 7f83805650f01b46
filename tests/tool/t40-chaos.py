#!/usr/bin/env python3
"""Everything at once, at random: programs, clients and proxies that are killed at any
moment. What is stored in the end is what was counted.

    t40-chaos.py [--seed S] [--rounds N] [--first N] [--seconds T] [--keep]

A round is made of the seed and its number alone (what the machine makes of it is another
matter), so `--seed S --first N --rounds 1` plays one again.
"""
import argparse
import os
import random
import shutil
import sys
import tempfile
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "support", "chaos"))
import driver  # noqa: E402

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
ROUNDS_PER_NODE = 40
OPTIONS = ["-S", "20", "--linger", "60"]


def program(rng):
    """What one worker does."""
    steps = []
    for _ in range(rng.randrange(1, 6)):
        steps.append(rng.choice([
            f"count {rng.choice([1, 100, 20000, 200000])}",
            f"threads {rng.randrange(1, 9)} {rng.choice([10, 10000])}",
            f"fork {rng.randrange(1, 4)} {rng.choice([1, 5000])}",
            f"clone {rng.choice([1, 5000])}",
            f"vfork {rng.choice([1, 5000])}",
            "exec", f"gauge {rng.randrange(1, 100)};exec;gauge {rng.randrange(1, 100)}",
            f"signals 50 {rng.choice([1000, 200000])}",
            f"gauge {rng.randrange(1, 100)}",
            f"observe {rng.choice([1, 1000])}",
            f"sleep {rng.choice([1, 5, 30, 80])}"]))
    steps.append(rng.choice(["exit 0", "exit 1", "kill", "sleep 40", "count 1"]))
    return ";".join(steps)


class Round:
    """Things to do, each at its time, in ms."""

    def __init__(self, node, rng, name, points):
        self.node, self.rng, self.points = node, rng, points
        self.jobs = [driver.Job(node, f"{name}-{i}") for i in range(rng.randrange(1, 4))]
        self.clients = []
        self.done = []
        self.plan = sorted(self.events(), key=lambda event: event[0])

    def events(self):
        rng = self.rng
        for job in self.jobs:
            # A second wave comes when the first is sealed, stored, even released.
            for wave in range(rng.choice([1, 1, 2])):
                for _ in range(rng.randrange(1, 4)):
                    at = rng.randrange(150) + 260 * wave
                    yield at, "start", job, program(rng)
                    if rng.random() < 0.3:
                        yield (at + rng.randrange(120), "kill", job, rng.random() < 0.5)
        for _ in range(rng.randrange(3)):
            job = rng.choice([None] + self.jobs)
            at = rng.randrange(200)
            key = rng.randrange(1 << 30)
            yield at, "connect", job, key
            for _ in range(rng.randrange(4)):
                yield at + rng.randrange(200), "send", key, rng.choice([1, 50, 500])
                if rng.random() < 0.5:
                    yield at + rng.randrange(250), "sync", key, None
            if rng.random() < 0.5:
                yield at + rng.randrange(250), "close", key, None
        for _ in range(rng.randrange(4)):
            yield (rng.randrange(300), "accumulate", rng.choice([None] + self.jobs),
                   rng.randrange(1, 30))
        for _ in range(rng.randrange(3)):
            yield rng.randrange(450), "die", None, None
        for at in range(0, 500, 25):
            if rng.random() < 0.6:
                yield at, "revive", self.crash_at(), None

    def crash_at(self):
        if self.rng.random() < 0.6:
            return f"{self.rng.choice(self.points)}:{self.rng.choice([1, 1, 2, 3, 5, 9])}"
        return None

    def client(self, key):
        return next((c for k, c in self.clients if k == key), None)

    def do(self, what, a, b):
        node = self.node
        if what == "start":
            a.start(b)
        elif what == "kill":
            if a.programs:
                a.kill(self.rng.choice(a.programs), b)
        elif what == "connect":
            self.clients.append((b, driver.SocketClient(node, a)))
        elif what == "accumulate":
            for _ in range(b):
                if node.accumulate("direct_total", 2, a) != 200:
                    break
        elif what == "die":
            node.kill()
        elif what == "revive":
            if not node.lives():
                node.start(a)
            node.job_values("main")
        elif self.client(a):
            client = self.client(a)
            if what == "send":
                client.count(b)
            else:
                getattr(client, what)()

    def run(self):
        begin = time.monotonic()
        for at, what, a, b in self.plan:
            pause = begin + at / 1000 - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            self.do(what, a, b)
            self.done.append((round((time.monotonic() - begin) * 1000), what,
                              a.jobid if isinstance(a, driver.Job) else a, b))
        self.node.settle()
        if self.rng.random() < 0.3:  # a proxy that knows the past from its files alone
            self.node.kill()
            self.node.ensure()
        return self.node.check()


def play(arguments, folder):
    points = driver.crash_points(SOURCE)
    if not arguments.hooks:
        points = ["none"]
    begin, failed, number, node = time.monotonic(), [], 0, None
    for number in range(arguments.first, arguments.first + arguments.rounds):
        if arguments.seconds and time.monotonic() - begin > arguments.seconds:
            number -= 1
            break
        if node is None:
            node = driver.Node(os.path.join(folder, f"n{number}"), OPTIONS)
        rng = random.Random(f"{arguments.seed}/{number}")
        this = Round(node, rng, f"r{number}", points)
        try:
            faults = this.run()
        except driver.Wrong as wrong:
            faults = [str(wrong)]
        except Exception:
            faults = [traceback.format_exc()]
        if faults:
            failed.append(number)
            print(f"FAILED: round {number} of seed {arguments.seed}, proxy {node.starts} "
                  f"in {node.folder}:", *faults, *map(str, this.done), sep="\n  ", flush=True)
        if faults or (number + 1) % ROUNDS_PER_NODE == 0:
            bury(node, bool(faults) and arguments.keep)
            node = None
    played = number - arguments.first + 1
    if node:
        bury(node, False)
    seconds = time.monotonic() - begin
    print(f"{played} rounds of seed {arguments.seed} in {seconds:.0f} s, "
          f"{len(failed)} failed {failed if failed else ''}", flush=True)
    return not failed


def bury(node, keep):
    node.bury()
    if not keep:
        shutil.rmtree(node.rendezvous, ignore_errors=True)
        shutil.rmtree(node.folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--rounds", type=int, default=10**6)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0, help="no new round after so long")
    parser.add_argument("--no-hooks", dest="hooks", action="store_false",
                        help="a build without crash points: kills alone")
    parser.add_argument("--keep", action="store_true", help="what a failed round leaves")
    parser.add_argument("--folder")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    driver.become_reaper()
    folder = arguments.folder or tempfile.mkdtemp(prefix="mproxy-chaos-")
    ok = play(arguments, folder)
    if not arguments.folder and not arguments.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
