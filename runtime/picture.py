"""Grids of images as PNG. The only file of the runtime that imports Pillow."""

import io

import numpy as np

from .errors import BackendError, InputError

GAP = 2
TEXT_HEIGHT = 11


def grid(images, names=(), scale=2, heads=()):
    """uint8 images (rows, columns, C, H, W) with C 1 or 3 -> PNG bytes.

    names: one a row, written on the left; heads: one a column, written above, in two lines or shortened where it would
    reach another.

    Raises BackendError where Pillow is not installed, InputError for other shapes.
    """
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError:
        raise BackendError("a picture needs Pillow: pip install Pillow; or write a .npy instead of a .png")
    if images.ndim != 5 or images.shape[2] not in (1, 3) or images.dtype != np.uint8:
        raise InputError(
            "images is {} {}, expected uint8 (rows, columns, 1 or 3, H, W)".format(images.dtype, images.shape)
        )
    names, heads = [drawable(name) for name in names], [drawable(head) for head in heads]
    tiles = tile(images).repeat(scale, axis=0).repeat(scale, axis=1)
    font = ImageFont.load_default()
    probe = ImageDraw.Draw(Image.new("L", (1, 1)))

    def length(text):
        return int(probe.textlength(text, font=font))

    left = 8 + max(map(length, names)) if any(names) else 0
    height, width = tiles.shape[0] / len(images), tiles.shape[1] / images.shape[1]
    heads = [lines(head, room(heads, column) * width, length) for column, head in enumerate(heads)]
    most = max(map(len, heads), default=0)
    top = most * TEXT_HEIGHT + 4 if most else 0
    size = left + tiles.shape[1], top + tiles.shape[0]
    sheet = Image.new("L" if tiles.ndim == 2 else "RGB", size, "white")
    sheet.paste(Image.fromarray(tiles), (left, top))
    draw = ImageDraw.Draw(sheet)
    for row, name in enumerate(names):
        draw.text((4, top + (row + 0.5) * height - TEXT_HEIGHT / 2), name, fill="black", font=font)
    for column, head in enumerate(heads):
        for row, text in enumerate(head, most - len(head)):
            middle = left + (column + 0.5) * width - length(text) / 2
            place = int(min(max(middle, left), sheet.width - length(text))), 1 + row * TEXT_HEIGHT
            draw.text(place, text, fill="black", font=font)
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def room(heads, column):
    """How many columns wide a head may be: its own, and half of each neighbour that has none."""
    return 1 if any(heads[max(0, column - 1) : column] + heads[column + 1 : column + 2]) else 2


def lines(text, width, length):
    """A text -> none to two lines that are at most so wide, broken after a blank or a slash, shortened if need be."""
    if length(text) <= width:
        return [text] if text else []
    for place in range(len(text) - 1, 0, -1):
        if text[place - 1] in " /" and length(text[:place].rstrip()) <= width:
            return [text[:place].rstrip(), shortened(text[place:], width, length)]
    return [shortened(text, width, length)]


def shortened(text, width, length):
    """As much of a text as is at most so wide; length: a text's width."""
    while text and length(text) > width:
        text = text[:-1]
    return text


def drawable(name):
    """A name as one line of what Pillow's built-in font has; other characters become question marks."""
    return " ".join(name.split()).encode("latin-1", "replace").decode("latin-1")


def tile(images):
    """(rows, columns, C, H, W) -> pixels (h, w) or (h, w, 3) of one sheet, a white gap around each image."""
    rows, columns, channels, height, width = images.shape
    sheet = np.full((rows * (height + GAP), columns * (width + GAP), channels), 255, np.uint8)
    for row in range(rows):
        for column in range(columns):
            top, left = row * (height + GAP) + GAP // 2, column * (width + GAP) + GAP // 2
            sheet[top : top + height, left : left + width] = images[row, column].transpose(1, 2, 0)
    return sheet[..., 0] if channels == 1 else sheet
