"""Beside the peers: the same work in other libraries, as their users run it, and through a bundle (`make peers`).

Contents: flows (the peers' flows), plain (a flow and decoders in PyTorch alone), systems (what is timed), works (which
systems stand side by side), record (one run, as JSON), table (its page). Nothing of it is needed on a board.
"""
