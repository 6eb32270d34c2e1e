"""Benchmarks: an engine in, a result out (CPython 3.6). Contents: suite, measure, results, device, eager."""
