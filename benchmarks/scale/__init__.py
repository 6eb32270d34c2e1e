"""What scale costs: latency and memory against batch, couplings, width and image size, measured and predicted.

Contents: points (what is measured), measured (one run over them), memory (a process of its own for each point),
predicted (a line fitted to this machine; the TX2's estimate), record (the run, as JSON), table, plot. Models are
untrained: a graph costs the same whatever its weights are. `make scale` runs it all.
"""
