"""The version, in the one place that setup.py, the bundles and the results read."""

VERSION = "0.2.0"
