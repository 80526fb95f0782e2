"""What happens to an extraction as machines and images grow: a simulation for plans.

Part by part, machines take work from a queue (`--backend dask`) or have fixed shares (`--share`);
some are slow, some die, some hang, and a coordinator looks at each part. What all machines share
(disk, file server, scheduler, coordinator) is compared with what it can do, and what is at its
limit first is named. The numbers that this rests on are printed; those that were measured say how.

    python benchmarks/simulate_scaling.py [--images 100000000] [--machines 100] [--seed 0]
"""

import argparse
import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

GB = 1e9
HOUR = 3600.0


@dataclass(frozen=True)
class World:
    """What a run is like; times in seconds, sizes in bytes, rates a second."""

    images: int = 100_000_000
    machines: int = 100
    in_part: int = 128
    rate: float = 60.0  # images a machine: 2 cores with VNNI, int8, 224 pixels
    image: float = 110e3  # a photograph of ImageNet
    feature: float = 24e3  # of an image in a part: features and six layer pools
    message: float = 1.3e3  # through the scheduler, a part
    index: float = 130.0  # of an image in images.h5
    ahead: int = 2  # parts that a machine has been given beside the one that it computes
    spread: float = 0.05  # standard deviation of a part's time, of its mean
    start: float = 30.0  # Python, weights, compilation, first batch
    slow: float = 0.05  # share of the machines that run at half speed
    deaths: float = 0.01  # of a machine in an hour
    back: float = 300.0  # until a machine that died is there again
    hangs: float = 0.01  # of a machine in an hour; it does nothing any more and does not say so
    patience: float = 4.0  # times the median, and then a part is given to another machine too
    keep: float = 0.004  # the coordinator's work on a part: hands it out, reads its head, notes it
    handle: float = 0.0034  # the scheduler's work on a part
    opened: float = 0.0015  # to read the head of a part, when shares are joined
    scheduler: float = 120e6  # bytes that go through the scheduler's network
    disk: float = 1.1 * GB  # what the shared disk delivers and takes in all: 10 Gbit/s
    creates: float = 2000.0  # files that the file server makes: open, write, sync, rename
    opens: float = 8000.0  # files that it opens for reading
    listed: float = 25e-6  # to list an image
    prepared: float = 10e-6  # to find out whether it is known
    joined: float = 11e-6  # to write an image into the index
    memory: float = 180.0  # of the coordinator, an image

    @property
    def parts(self) -> int:
        """Parts in all."""
        return math.ceil(self.images / self.in_part)

    @property
    def part_seconds(self) -> float:
        """Time of a part on a machine that is not slow."""
        return self.in_part / self.rate


#: Shares for each machine, by the name of the way.
SHARES = {"as many shares": 1, "8 shares each": 8}
#: Runs with other random numbers, of which the one in the middle is shown.
TRIES = 3

#: Where the numbers come from that decide most.
SOURCES = (
    ("images a second on a machine", "rate", "docs/performance.md: 2 cores with VNNI, int8"),
    ("KB of an image file", "image", "ImageNet's mean"),
    ("KB of features of an image", "feature", "measured on photographs, with six layer pools"),
    ("bytes of the index, an image", "index", "measured with 2 million images"),
    ("bytes of memory of the coordinator, an image", "memory", "bench_scale.py, 10 million"),
    ("µs to list an image", "listed", "benchmarks/bench_listing.py, on a local disk"),
    ("µs to prepare an image", "prepared", "measured with 2 million images, on a local disk"),
    ("µs to write an image into the index", "joined", "measured with 2 million images"),
    ("KB through the scheduler a part", "message", "benchmarks/bench_engine.py"),
    (
        "ms of the coordinator a part",
        "keep",
        "bench_engine.py: 2.8; a network disk",
    ),
    ("ms of the scheduler a part", "handle", "bench_engine.py: half of it and workers"),
    ("ms to open a part, by join", "opened", "0.3 measured on a local disk; a network disk"),
    ("files a second, made", "creates", "assumed: an NFS server that syncs to flash"),
    ("files a second, opened", "opens", "assumed: the same server"),
    ("GB a second of the disk", "disk", "assumed: 10 Gbit/s"),
)


@dataclass(frozen=True)
class Outcome:
    """How a simulated run went."""

    seconds: float
    again: int  # parts that were computed more than once
    died: int
    hung: int
    busiest: float  # share of the time that the coordinator worked


def simulate(world: World, how: str, seed: int) -> Outcome:
    """Run all parts.

    Parameters
    ----------
    world : World
    how : {"queue", "as many shares", "8 shares each"}
        A coordinator that gives parts to whoever is free; or shares, of every n-th part, that a
        batch system gives to free machines.
    seed : int
    """
    random = np.random.default_rng(seed)
    speed = np.where(random.random(world.machines) < world.slow, 0.5, 1.0)
    if how == "queue":
        return _queue(world, speed, random)
    return _shares(world, speed, random, SHARES[how])


def _times(world: World, random: np.random.Generator) -> Iterator[float]:
    """Yield the time of a part on a machine of speed 1, again and again."""
    while True:
        some = random.normal(world.part_seconds, world.spread * world.part_seconds, 4096)
        yield from np.maximum(some, 0.5 * world.part_seconds).tolist()


def _failures(world: World, random: np.random.Generator, rate: float) -> Iterator[float]:
    """Yield how long a machine works until it fails, again and again."""
    while True:
        yield from (random.exponential(HOUR / rate, 256).tolist() if rate else [math.inf])


def _queue(world: World, speed: np.ndarray, random: np.random.Generator) -> Outcome:
    """Machines take parts from a queue; what was lost goes back to its end."""
    times, dies = _times(world, random), _failures(world, random, world.deaths)
    hangs = _failures(world, random, world.hangs)
    death = [world.start + next(dies) for _ in speed]
    hang = [world.start + next(hangs) for _ in speed]
    ready = [(world.start, machine) for machine in range(len(speed))]
    heapq.heapify(ready)
    waiting, late = world.parts, []  # parts to begin; (when a lost one is known, how many)
    free = busy = end = 0.0  # of the coordinator
    again = died = hung = kept = 0
    known = world.patience * world.part_seconds + 5
    while kept < world.parts and ready:
        now, machine = heapq.heappop(ready)
        while late and late[0] <= now:
            heapq.heappop(late)
            waiting += 1
        if not waiting:
            if not late:
                continue  # nothing more to do for this machine, unless a part is lost
            heapq.heappush(ready, (late[0], machine))
            continue
        waiting -= 1
        finished = now + next(times) / speed[machine]
        if finished > hang[machine]:
            hung += 1
            lost = 1 + min(waiting, world.ahead)  # what it has been given is lost too
            again += lost
            waiting -= lost - 1
            for _ in range(lost):
                heapq.heappush(late, max(now, hang[machine]) + known)
            continue  # it is never heard of again
        if finished > death[machine]:
            died += 1
            again += 1
            heapq.heappush(late, death[machine])
            back = death[machine] + world.back
            death[machine] = back + world.start + next(dies)
            heapq.heappush(ready, (back + world.start, machine))
            continue
        free = max(free, finished) + world.keep
        busy += world.keep
        kept += 1
        end = max(end, free)
        # The machine has further parts at hand, so it goes on at once, unless the coordinator is
        # so far behind that it has not been given any.
        heapq.heappush(ready, (max(finished, free - world.ahead * world.part_seconds), machine))
    return Outcome(end, again, died, hung, busy / max(end, 1e-9))


def _shares(world: World, speed: np.ndarray, random: np.random.Generator, each: int) -> Outcome:
    """Give each machine a share after another, as a batch system does; then all are joined.

    A share that died is begun again, and goes on with the parts that it has. One that hangs is
    ended by its time limit, which is three times the usual.
    """
    dies, hangs = (_failures(world, random, rate) for rate in (world.deaths, world.hangs))
    death, hang = [next(dies) for _ in speed], [next(hangs) for _ in speed]
    shares = world.machines * each
    usual = world.parts / shares * world.part_seconds
    noise = random.normal(0, world.spread * world.part_seconds * math.sqrt(world.parts / shares))
    waiting = [usual + noise] * shares
    ready = [(0.0, machine) for machine in range(len(speed))]
    died = hung = 0
    end = 0.0
    while waiting:
        now, machine = heapq.heappop(ready)
        begun, left = now + world.start, waiting.pop()
        finished = begun + left / speed[machine]
        end = max(end, finished)
        failed = max(begun, min(death[machine], hang[machine]))
        if failed < finished:
            waiting.insert(0, left - (failed - begun) * speed[machine])
            finished = failed + world.back
            if hang[machine] <= death[machine]:
                hung += 1
                finished = begun + max(3 * usual, failed - begun)
                hang[machine] = finished + next(hangs)
            else:
                died += 1
                death[machine] = finished + next(dies)
        heapq.heappush(ready, (finished, machine))
    joined = world.start + world.parts * world.opened
    return Outcome(end + joined, died + hung, died, hung, joined / (end + joined))


def limits(world: World) -> dict[str, float]:
    """Return what each shared thing is asked for, as a share of what it can do."""
    parts = world.machines * world.rate / world.in_part  # a second
    return {
        "disk": world.machines * world.rate * (world.image + world.feature) / world.disk,
        "file server, images opened": world.machines * world.rate / world.opens,
        "file server, parts made": parts / world.creates,
        "coordinator": parts * world.keep,
        "scheduler": parts * max(world.handle, world.message / world.scheduler),
    }


def hours(seconds: float) -> str:
    """Return a duration as people say it."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * HOUR else f"{seconds / HOUR:.1f} h"


def size(amount: float) -> str:
    """Return bytes as people say them."""
    for unit, one in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if amount >= one:
            return f"{amount / one:,.1f} {unit}"
    return f"{amount / 1e3:,.0f} KB"


def print_table(title: str, heads: list[str], rows: list[list[str]]) -> None:
    """Print a table as Markdown."""
    print(f"\n**{title}**\n\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def print_amounts(world: World) -> None:
    """Print what one run moves."""
    parts, images = world.parts, world.images
    rate = world.machines * world.rate
    perfect = images / rate
    a_second = parts / perfect
    work = parts * world.keep
    rows = {
        f"parts of {world.in_part} images": f"{parts:,} of {size(world.in_part * world.feature)}",
        "images read": f"{size(images * world.image)}, {size(rate * world.image)} a second",
        "parts written": f"{size(images * world.feature)}, {size(rate * world.feature)} a second",
        "the index, images.h5": size(images * world.index),
        "parts a second": f"{a_second:.0f}",
        "through the scheduler": f"{size(parts * world.message)}, "
        f"{size(a_second * world.message)} a second",
        "joining shares, looking at parts": hours(parts * world.opened),
        "tasks in flight": f"{world.machines * (1 + world.ahead):,}",
        "coordinator, looking at parts": f"{hours(work)} of work, {work / perfect:.0%} of the run",
        "coordinator's memory": size(images * world.memory),
        "listing, on a local disk": hours(images * world.listed),
        "preparing (is it known?)": hours(images * world.prepared),
        "the network alone, nothing lost": hours(perfect),
        "the index is written": hours(images * world.joined),
    }
    print_table(
        f"{images:,} images on {world.machines} machines",
        ["what", "how much"],
        [[name, value] for name, value in rows.items()],
    )


def print_runs(world: World, seed: int) -> None:
    """Print how long a run takes when machines are slow, die or hang."""
    perfect = world.images / (world.machines * world.rate)
    good = replace(world, slow=0, deaths=0, hangs=0)
    rows = []
    for name, some in (
        ("all machines equal, none fails", good),
        ("5 % at half speed", replace(good, slow=world.slow)),
        ("one in a hundred dies each hour", replace(good, deaths=world.deaths)),
        ("one in a hundred hangs each hour", replace(good, hangs=world.hangs)),
        ("all of these", world),
        ("spot machines: one in five dies each hour", replace(world, deaths=0.2)),
    ):
        row = [name]
        for how in ("queue", *SHARES):
            tries = [simulate(some, how, seed + number) for number in range(TRIES)]
            found = sorted(tries, key=lambda one: one.seconds)[TRIES // 2]
            lost = f", {found.again:,} again" if found.again else ""
            row.append(f"{hours(found.seconds)} ({perfect / found.seconds:.0%}{lost})")
        rows.append(row)
    heads = ["", "queue", *SHARES]
    title = "Wall time without listing (of the ideal; parts, or shares, that were begun again)"
    print_table(title, heads, rows)


def print_machines(world: World) -> None:
    """Print what is at its limit as machines grow."""
    rows = []
    for machines in (10, 30, 100, 300, 1000):
        found = limits(replace(world, machines=machines))
        worst = max(found, key=lambda name: found[name])
        stretched = max(1.0, found[worst])
        seconds = world.images / (machines * world.rate) * stretched
        cells = [f"{value:.0%}" for value in found.values()]
        rows.append([f"{machines:,}", *cells, hours(seconds), worst if stretched > 1 else "–"])
    heads = ["machines", *limits(world), "wall time", "what limits"]
    print_table("How busy what all share is (100 % and more: it limits the run)", heads, rows)


def print_images(world: World) -> None:
    """Print what grows with images."""
    rows = []
    for images in (1_000_000, 10_000_000, 100_000_000, 1_000_000_000):
        some = replace(world, images=images)
        before = world.listed + world.prepared
        sizes = [images * one for one in (world.feature, world.index, world.memory)]
        times = [images * one for one in (before, world.joined)]
        network = images / (world.machines * world.rate)
        cells = [*map(size, sizes), *map(hours, (*times, network))]
        rows.append([f"{images:,}", f"{some.parts:,}", *cells])
    heads = ["images", "parts", "of", "index", "memory", "before", "after", "network"]
    title = f"What grows with the images, on {world.machines} machines"
    print_table(title, heads, rows)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=World.images)
    parser.add_argument("--machines", type=int, default=World.machines)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    world = World(images=given.images, machines=given.machines)
    scale = {"ms": 1e3, "µs": 1e6, "KB": 1e-3, "GB": 1e-9}
    rows = [
        [name, f"{getattr(world, field) * scale.get(name.split()[0], 1):g}", source]
        for name, field, source in SOURCES
    ]
    print_table("What this rests on", ["number", "value", "from"], rows)
    print_amounts(world)
    print_runs(world, given.seed)
    print_machines(world)
    print_images(world)


if __name__ == "__main__":
    main()
