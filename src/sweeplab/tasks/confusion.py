"""A confusion matrix as a picture."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SIZE, MARGIN, LEGIBLE = 440, 40, 22  # pixels: all cells together, their edge, a cell that can hold a count
RIGHT, WRONG = np.array([0, 120, 60]), np.array([190, 30, 30])
INK, ON_DARK = (40, 40, 40), (255, 255, 255)


def picture_of(counts: NDArray[np.int64]) -> Image.Image:
    """Draw a row a label and a column a predicted class: the darker, the larger the share of the label's samples.

    Right ones are green, wrong ones red. Where there is room, counts and classes stand there as numbers.
    """
    classes = len(counts)
    cell = max(1, SIZE // classes)
    # The root of a share: a few mistakes among many samples are to be seen too.
    depth = np.sqrt(counts / counts.sum(1, keepdims=True).clip(1))
    colours = np.where(np.eye(classes, dtype=bool)[..., None], RIGHT, WRONG)
    tiles = (255 - depth[..., None] * (255 - colours)).astype(np.uint8)
    matrix = Image.fromarray(tiles).resize((cell * classes, cell * classes), Image.Resampling.NEAREST)
    picture = Image.new("RGB", (MARGIN + matrix.width, MARGIN + matrix.height), "white")
    picture.paste(matrix, (MARGIN, MARGIN))
    draw = ImageDraw.Draw(picture)
    draw.text((MARGIN + matrix.width // 2, MARGIN // 4), "predicted", fill=INK, anchor="mm")
    draw.text((MARGIN // 2, MARGIN * 3 // 4), "label", fill=INK, anchor="mm")
    if cell >= LEGIBLE:
        _write_numbers(draw, counts, depth, cell)
    return picture


def _write_numbers(draw: ImageDraw.ImageDraw, counts: NDArray[np.int64], depth: NDArray[np.float64], cell: int) -> None:
    places = [MARGIN + number * cell + cell // 2 for number in range(len(counts))]
    for number, place in enumerate(places):
        draw.text((MARGIN // 2, place), str(number), fill=INK, anchor="mm")
        draw.text((place, MARGIN * 3 // 4), str(number), fill=INK, anchor="mm")
    for label, said in np.argwhere(counts).tolist():
        ink = ON_DARK if depth[label, said] > 0.6 else INK
        draw.text((places[said], places[label]), str(counts[label, said]), fill=ink, anchor="mm")
