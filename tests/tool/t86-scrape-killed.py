#!/usr/bin/env python3
"""Targets whose counters grow, restart, come and go, under a proxy that is killed.

    t86-scrape-killed.py --folder DIR [--rounds N] [--seed N] [--no-hooks]

What a target has counted in all is known. A value is *safe* once who has read it has asked
again by the same connection, for then a proxy has taken it; only then the target restarts, so that the sum of all
its lives must be shown exactly. At any time what is shown is no less than before, whichever
proxy shows it, and no more than was counted.
"""
import argparse
import json
import os
import random
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "chaos"))
import driver  # noqa: E402
from exporter import Exporter  # noqa: E402

PERIOD_MS = 20
OPTIONS = ["-S", "20"]
# Points of the scraper's own, each of which is to be passed in some run.
POINTS = ("scrape.rename", "scrape.renamed", "scrape.pair", "scrape.list", "scrape.listed")


class Target:
    """An exporter with a few counters, of names of its own and one that all have."""

    def __init__(self, node, number):
        self.node = node
        self.lock = threading.Lock()
        self.names = [f'killed_total{{n="{number}"}}', f"killed_{number}_total", "shared_total"]
        self.now = dict.fromkeys(self.names, 0)
        self.before = dict.fromkeys(self.names, 0)  # of lives that are over
        self.serves = {}  # since a value has changed, by connection
        self.is_young = False  # its zeros must be seen before it grows
        self.exporter = Exporter(self.page)

    def page(self, handler):
        with self.lock:
            connection = handler.client_address
            self.serves[connection] = self.serves.get(connection, 0) + 1
            lines = []
            for name in sorted(self.now):
                base = name.partition("{")[0]
                lines += [f"# TYPE {base} counter", f"{name} {self.now[name]}"]
            return "".join(line + "\n" for line in lines).encode()

    def change(self, is_young=False):
        self.serves = {}
        self.is_young = is_young

    def was_taken(self):
        return max(self.serves.values(), default=0) >= 2

    def grow(self, rng):
        """One that overtakes itself between two scrapes can't be told from one that grew."""
        with self.lock:
            if self.is_young and not self.was_taken():
                return
            for name in rng.sample(sorted(self.now), rng.randrange(1, len(self.now) + 1)):
                self.now[name] += rng.choice((1, 1, 5, 1000, 0.5))
            self.change()

    def is_safe(self):
        with self.lock:
            return self.was_taken()

    def restart(self):
        with self.lock:
            if not self.was_taken():
                return
            for name, value in self.now.items():
                self.before[name] = self.before.get(name, 0) + value
                self.now[name] = 0
            self.change(True)

    def come_or_go(self, number):
        """One name more, or one less: what it counted stays."""
        with self.lock:
            if not self.was_taken():
                return
            if len(self.now) > len(self.names) + 3:
                name = sorted(set(self.now) - set(self.names))[0]
                self.before[name] = self.before.get(name, 0) + self.now.pop(name)
            else:
                name = f'extra_{number % 7}_total{{t="{self.exporter.port}"}}'
                self.now.setdefault(name, 0)
            self.change(True)

    def add_to(self, totals):
        with self.lock:
            for values in (self.now, self.before):
                for name, value in values.items():
                    totals[name] = totals.get(name, 0) + value


class Run:
    def __init__(self, folder, seed, hooks):
        self.rng = random.Random(seed)
        self.hooks = hooks
        self.node = driver.Node(folder, OPTIONS)
        self.targets = [Target(self.node, i) for i in range(3)]
        self.highest = {}
        self.left = None  # a target that is not joined now
        self.armed, self.fired = None, set()  # crash points

    def truth(self):
        totals = {}
        for target in self.targets:
            target.add_to(totals)
        return totals

    def shown(self):
        status, body = self.node.ask("/job?job=main")
        if status != 200:
            return None
        return {c["name"]: c["ctype"]["Counter"]["value"] for c in json.loads(body)["counters"]
                if "Counter" in c["ctype"]}

    def look(self):
        """Nothing steps back or is more than was counted."""
        shown = self.shown()
        if shown is None:
            return None
        truth = self.truth()
        for name, value in truth.items():
            if shown.get(name, 0) > value:
                raise driver.Wrong(f"{name} is {shown[name]}, counted: {value}")
            if shown.get(name, 0) < self.highest.get(name, 0):
                raise driver.Wrong(f"{name} is {shown.get(name)}, was {self.highest[name]}")
            self.highest[name] = shown.get(name, 0)
        return shown

    def keep_alive(self):
        """A proxy that serves; with some luck one that dies at a crash point."""
        if self.node.lives():
            return
        if self.armed and self.node.proxy:  # nobody else killed it
            self.fired.add(self.armed.partition(":")[0])
        point = None
        if self.hooks and self.rng.random() < 0.5:
            point = f"{self.rng.choice(POINTS)}:{self.rng.randrange(1, 4)}"
        self.node.start(point)
        self.armed = point

    def wait(self, what, condition):
        def is_so():
            self.keep_alive()
            self.look()
            return condition()
        driver.until(what, is_so)

    def ask(self, path):
        def done():
            self.keep_alive()
            return self.node.ask(path)[0] in (200, 404)
        driver.until(path, done)

    def all_are_safe(self):
        return all(t.is_safe() for t in self.targets if t is not self.left)

    def settle(self):
        """All that was counted is shown, exactly."""
        if self.left:
            self.ask(f"/join?to={self.left.exporter.address}&period={PERIOD_MS}")
            self.left = None
        self.wait("all pages", self.all_are_safe)

        def is_exact():
            shown = self.shown()
            return shown is not None and all(
                shown.get(name, 0) == value for name, value in self.truth().items())
        try:
            self.wait("the sums", is_exact)
        except driver.Wrong as wrong:
            shown, truth = self.shown() or {}, self.truth()
            raise driver.Wrong(f"{wrong}: " + ", ".join(
                f"{name} is {shown.get(name)}, counted: {value}"
                for name, value in truth.items() if shown.get(name, 0) != value)) from None

    def play(self, number):
        rng = self.rng
        self.keep_alive()
        target = rng.choice(self.targets)
        action = rng.random()
        for one in self.targets:
            if rng.random() < 0.7 and one is not self.left:
                one.grow(rng)
        if action < 0.3 and target is not self.left:
            self.wait("a page", target.is_safe)
            target.restart()
        elif action < 0.45 and target is not self.left:
            self.wait("a page", target.is_safe)
            target.come_or_go(number)
        elif action < 0.55 and target is not self.left:
            target.exporter.close()
            target.exporter.open(target.exporter.port)
        elif action < 0.65 and not self.left:
            self.wait("a page", target.is_safe)
            self.ask(f"/disconnect?target={target.exporter.address}")
            self.left = target
        elif action < 0.75 and self.left:
            self.ask(f"/join?to={self.left.exporter.address}&period={PERIOD_MS}")
            self.left = None
        if rng.random() < 0.5:
            self.node.kill()
        self.keep_alive()
        self.look()
        if number % 10 == 9:
            self.settle()

    def go(self, rounds):
        self.node.ensure()
        for target in self.targets:
            self.ask(f"/join?to={target.exporter.address}&period={PERIOD_MS}")
        for number in range(rounds):
            self.play(number)
        self.settle()
        self.node.kill()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--no-hooks", action="store_true")
    options = parser.parse_args()
    run = Run(options.folder, options.seed, not options.no_hooks)
    try:
        run.go(options.rounds)
    except driver.Wrong as wrong:
        print(f"seed {options.seed}: {wrong}")
        return 1
    print(f"{options.rounds} rounds, {run.node.deaths} deaths, seed {options.seed}, "
          f"points passed: {' '.join(sorted(run.fired)) or 'none'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
