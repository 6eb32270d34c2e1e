"""Studies: many training runs, or one pass over the data, that answer a question with a table, plots and a page.

Contents: definition (the data file), trials (Optuna: who does which point), runs (one point: train, measure),
results (what the trials found), page and plots (how it is shown), pixels (how easy the data are), and *.toml,
the studies that ship.
"""
