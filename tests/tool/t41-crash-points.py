#!/usr/bin/env python3
"""The proxy dies at each crash point in turn, is started again, and all is exact.

    t41-crash-points.py FOLDER [POINT...]
"""
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "chaos"))
import driver  # noqa: E402

PASSAGES = (1, 2)
PERIOD = ["-S", "20", "--linger", "60"]
SHORT_CONTINUE = ["--continue", "1"]


class Run:
    """A node whose proxy dies once at a crash point."""

    def __init__(self, folder, crash_at, options=()):
        self.node = driver.Node(folder, PERIOD + list(options))
        self.crash_at = crash_at
        self.crashed = False

    def arm(self):
        self.node.start(self.crash_at)

    def keep_alive(self):
        """Counts a death, and goes on with a proxy that lives on."""
        if not self.node.lives():
            self.crashed = True
            self.node.start()

    def wait(self, what, condition):
        def is_so():
            self.keep_alive()
            return condition()
        driver.until(f"{what} at {self.crash_at}", is_so)

    def conclude(self):
        """The faults there are, of sums, and of a crash that did not come."""
        for job in self.node.jobs:
            job.wait()
        for client in self.node.clients:
            client.close()
        # What the proxy still has to do may be what it dies of.
        self.wait("the end", lambda: self.node.ready() and self.node.is_settled())
        starts = self.node.starts
        self.node.settle()
        faults = self.node.check()
        self.crashed |= self.node.starts > starts
        return faults


def finish(run, needs_crash):
    faults = run.conclude()
    if needs_crash and not run.crashed:
        faults.append("never passed: the proxy did not die")
    run.node.terminate()
    return faults


def ordinary(folder, crash_at, needs_crash):
    """Everything a proxy does for one node: programs, clients, calls, two waves of a job."""
    run = Run(folder, crash_at)
    node = run.node
    run.arm()
    run.wait("the first round", node.ready)
    first, second = driver.Job(node, "first"), driver.Job(node, "second")
    first.start("count 1000;gauge 3;threads 4 1000;fork 2 100;kill")
    first.start("gauge 5;count 500;sleep 40;exec;observe 10;gauge 6")
    second.start("vfork 100;clone 100;count 77;sleep 60")
    client = driver.SocketClient(node, second)
    client.count(50)
    run.wait("the calls", lambda: node.accumulate("direct_total", 3) == 200)
    run.wait("the job", lambda: node.shown("chaos_total", "second"))
    node.accumulate("direct_total", 2, second)
    client.close()
    for job in (first, second):
        job.wait()
    run.wait("the first wave", lambda: node.ready() and node.is_settled())
    first.start("count 11")
    return finish(run, needs_crash)


def wait_out_continue(ended):
    """What has ended then cannot go on under SHORT_CONTINUE; the tenth is for clock ticks."""
    driver.until("time to pass", lambda: time.monotonic() > ended + 1.1)


def run_again(folder, crash_at, needs_crash):
    """A job id that comes back after --continue: the older run makes place."""
    run = Run(folder, None, SHORT_CONTINUE)
    node = run.node
    node.start()
    earlier = driver.Job(node, "again")
    earlier.start("count 100")
    earlier.wait()
    ended = time.monotonic()
    faults = run.conclude()
    node.kill()
    wait_out_continue(ended)
    run.crash_at = crash_at
    run.arm()
    driver.Job(node, "again").start("count 7")
    faults += finish_again(run, needs_crash)
    return faults


def finish_again(run, needs_crash):
    node = run.node
    faults = run.conclude()
    older = node.profile(f"again@{node.profile('again')['desc']['start_time']}")
    if older is not None:
        faults.append("the newest run is kept as an older one too")
    profiles = [name for name in os.listdir(os.path.join(node.prefix, "profiles"))
                if name.startswith("again")]
    if len(profiles) != 2:
        faults.append(f"two runs are stored as {profiles}")
    if needs_crash and not run.crashed:
        faults.append("never passed: the proxy did not die")
    node.terminate()
    return faults


def bridged(folder, crash_at, needs_crash):
    """A share shows late that two profiles are one run: they become one profile."""
    run = Run(os.path.join(folder, "a"), None, SHORT_CONTINUE)
    late = Run(os.path.join(folder, "b"), crash_at, SHORT_CONTINUE)
    late.node.prefix = run.node.prefix
    long = driver.Job(late.node, "bridged")
    long.start("count 5000;sleep 2000")
    run.node.start()
    counted = 5000 // 3 * 6 + sum(1 + i % 3 for i in range(5000 % 3))
    faults = []
    for value in (100, 10):
        job = driver.Job(run.node, "bridged")
        job.start(f"count {value}")
        job.wait()
        ended = time.monotonic()
        faults += run.conclude()
        counted += sum(1 + i % 3 for i in range(value))
        if value == 100:
            wait_out_continue(ended)
    stored = os.path.join(run.node.prefix, "profiles")
    if len([n for n in os.listdir(stored) if n.startswith("bridged")]) != 2:
        faults.append("there are no two profiles to bridge")
    run.node.terminate()
    late.arm()
    late.wait("the late share", lambda: late.node.ready())
    long.wait()
    late.wait("the end", lambda: late.node.ready() and late.node.is_settled())
    late.node.settle()
    values = late.node.values(late.node.profile("bridged")["counters"])
    if values["chaos_total"] != counted:
        faults.append(f"chaos_total is {values['chaos_total']}, counted: {counted}")
    names = [name for name in os.listdir(stored) if name.startswith("bridged")]
    if len(names) != 1:
        faults.append(f"one run is stored as {names}")
    if needs_crash and not late.crashed:
        faults.append("never passed: the proxy did not die")
    late.node.terminate()
    return faults


SPECIAL = {"profile.moved": run_again, "profile.unlinked": bridged}


def main():
    folder, points = sys.argv[1], sys.argv[2:]
    # Those of system calls in the kernel are driven by t74, of scrapes by t86, of
    # pushed groups by t44.
    points = points or [point for point in driver.crash_points(os.path.join(HERE, "..", ".."))
                        if not point.startswith("syscalls.")
                        if not point.startswith("scrape.")
                        if not point.startswith("push.")]
    driver.become_reaper()
    failed = False
    for point in points:
        scenario = SPECIAL.get(point, ordinary)
        for passage in PASSAGES if scenario is ordinary else (1,):
            try:
                faults = scenario(os.path.join(folder, f"{point}-{passage}"),
                                  f"{point}:{passage}", passage == 1)
            except driver.Wrong as wrong:
                faults = [str(wrong)]
            if faults:
                failed = True
                print(f"FAILED: {point}, passage {passage}:", *faults, sep="\n  ")
    print(f"{len(points)} crash points: {' '.join(points)}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
