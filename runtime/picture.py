"""Grids of images as PNG. The only file of the runtime that imports Pillow."""

import io

import numpy as np

from .errors import BackendError, InputError

GAP = 2
TEXT_HEIGHT = 11


def grid(images, names=(), scale=2):
    """uint8 images (rows, columns, C, H, W) with C 1 or 3 -> PNG bytes; names: one a row, written on the left.

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
    names = [drawable(name) for name in names]
    tiles = tile(images).repeat(scale, axis=0).repeat(scale, axis=1)
    font = ImageFont.load_default()
    margin = (
        8 + max(int(ImageDraw.Draw(Image.new("L", (1, 1))).textlength(name, font=font)) for name in names)
        if names
        else 0
    )
    sheet = Image.new("RGB", (margin + tiles.shape[1], tiles.shape[0]), "white")
    sheet.paste(Image.fromarray(tiles), (margin, 0))
    draw, height = ImageDraw.Draw(sheet), tiles.shape[0] / len(images)
    for row, name in enumerate(names):
        draw.text((4, (row + 0.5) * height - TEXT_HEIGHT / 2), name, fill="black", font=font)
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG")
    return buffer.getvalue()


def drawable(name):
    """A name as one line of what Pillow's built-in font has; other characters become question marks."""
    return " ".join(name.split()).encode("latin-1", "replace").decode("latin-1")


def tile(images):
    """(rows, columns, C, H, W) -> RGB pixels of one sheet, a white gap around each image."""
    rows, columns, channels, height, width = images.shape
    sheet = np.full((rows * (height + GAP), columns * (width + GAP), 3), 255, np.uint8)
    for row in range(rows):
        for column in range(columns):
            top, left = row * (height + GAP) + GAP // 2, column * (width + GAP) + GAP // 2
            sheet[top : top + height, left : left + width] = images[row, column].transpose(1, 2, 0)
    return sheet
