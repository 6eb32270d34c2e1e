"""Two threads sample two classes: each with a Model of its own, then with an Engine each, then on one shared Engine.

    python examples/two_threads.py runs/cvae.bundle --seconds 2

A Model is not to be shared between threads. An Engine may be: a lock makes its callers take turns, so two threads
together get about what one alone gets. For two at once, load two (which helps where there are processors for both; a
GPU is one thing that the two share).
"""

import argparse
import sys
import threading
import time

from latentjet.runtime import load
from latentjet.runtime.engine import open_engine
from latentjet.runtime.errors import CheckError, LatentjetError
from latentjet.runtime.model import Model, noise

THREADS, BATCH = 2, 64


class Worker(threading.Thread):
    """Calls work() -> number of images, until the time is over, all workers from the same moment on; keeps an error.

    prepare() -> (work, close) runs in the thread itself.
    """

    def __init__(self, barrier, seconds, prepare):
        super().__init__()
        self.barrier, self.seconds, self.prepare = barrier, seconds, prepare
        self.images, self.took, self.error = 0, 0.0, None

    def run(self):
        try:
            work, close = self.prepare()
            try:
                work()  # loads and warms up
                self.barrier.wait()
                begin = time.perf_counter()
                while self.took < self.seconds:
                    self.images += work()
                    self.took = time.perf_counter() - begin
            finally:
                close()
        except threading.BrokenBarrierError:
            pass  # the other thread has the reason
        except Exception as error:  # it is raised again where the threads were started
            self.error = error
            self.barrier.abort()

    def rate(self):
        return self.images / self.took


def together(prepares, seconds):
    """Run one Worker for each -> list of images a second. Raises what a worker raised."""
    barrier = threading.Barrier(len(prepares))
    workers = [Worker(barrier, seconds, prepare) for prepare in prepares]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for worker in workers:
        if worker.error:
            raise worker.error
    return [worker.rate() for worker in workers]


def own_model(path, backend, number):
    """A Model that only one thread has; it samples the class with this number."""

    def prepare():
        model = Model.load(path, backend, threads=1)
        if model.classes:
            return lambda: len(model.sample([number % len(model.classes)], seed=number)), model.close
        return lambda: len(model.sample(count=1, seed=number)), model.close

    return prepare


def on_engine(engine, model, number):
    """An Engine, shared or not, with inputs of this thread's; at the end its images are what they were at the start."""
    inputs = {"z": noise(number, BATCH, model.latent)}
    if model.classes:
        inputs["labels"] = model.weights([number % len(model.classes)] * BATCH)
    first = engine.run(**inputs)["images"].copy()

    def work():
        return len(engine.run(**inputs)["images"])

    def close():
        if not (engine.run(**inputs)["images"] == first).all():
            raise CheckError("an image of the other thread came out")

    return lambda: (work, close)


def open_decode(model):
    return open_engine(model.bundle, "decode", model.backend, threads=1)


def show(title, names, rates):
    print(title)
    for number, (name, rate) in enumerate(zip(names, rates)):
        print(f"  thread {number + 1}  {name:<12} {rate:9.0f} images/s")
    print(f"  together  {'':<12} {sum(rates):9.0f} images/s")


def main():
    parser = argparse.ArgumentParser(description="Two threads with a Model each, then two threads on one Engine.")
    parser.add_argument("bundle", metavar="BUNDLE")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each of four parts takes (default 2)")
    parser.add_argument("--backend", default="auto", help="auto, trt, ort (default auto)")
    args = parser.parse_args()
    try:
        with load(args.bundle, args.backend) as model:
            names = [model.classes[number % len(model.classes)] if model.classes else "" for number in range(THREADS)]
            rates = together([own_model(args.bundle, model.backend, n) for n in range(THREADS)], args.seconds)
            show(f"a Model each, backend '{model.backend}', one image a call:", names, rates)
            with open_decode(model) as one, open_decode(model) as other:
                title = f", {BATCH} images a call:"
                rates = together([on_engine(one, model, 0)], args.seconds)
                show("one thread" + title, names[:1], rates)
                rates = together([on_engine(one, model, 0), on_engine(other, model, 1)], args.seconds)
                show("two threads, an Engine each" + title, names, rates)
                rates = together([on_engine(one, model, n) for n in range(THREADS)], args.seconds)
                show("two threads take turns on one Engine" + title, names, rates)
    except LatentjetError as error:
        print(f"two_threads: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
