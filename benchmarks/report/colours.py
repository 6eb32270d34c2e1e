"""Colours on a light and on a dark ground: Okabe and Ito's, which colour-blind readers tell apart; names everywhere."""

COLOURS = {  # name: (on light, on dark); each light one is there once, so that a plot's can be exchanged in the page
    "paper": ("#fefefe", "#15181c"),
    "ink": ("#1b1f24", "#e7eaee"),
    "muted": ("#57606b", "#a8b1bc"),
    "rule": ("#d5dae1", "#3a414a"),
    "eager": ("#6e7681", "#9aa4b0"),
    "torch": ("#c45100", "#f2994f"),
    "ort": ("#0072b2", "#56b4e9"),
    "trt": ("#00805c", "#3ecb9f"),
    "other": ("#a0509a", "#dd9fd8"),
    "gold": ("#9a7400", "#e6c84f"),
}
SERIES = ("ort", "torch", "trt", "other", "gold", "eager")  # where the lines are no systems: rails, clocks, phases


def light(name):
    """Name -> "#rrggbb" on a light ground."""
    return COLOURS[name][0]


def as_css(dark=False):
    """The colours as custom properties of CSS."""
    return " ".join("--{}: {};".format(name, pair[dark]) for name, pair in COLOURS.items())


def themed(svg):
    """SVG text drawn with the light colours -> the same, its colours those of the page it is put into."""
    for name, (colour, _) in COLOURS.items():
        svg = svg.replace(colour, "var(--{})".format(name))
    return svg
