"""Writes the reference values of the resize kernels, blurs, JPEG and warp, computed by OpenCV and Pillow.

    pip install opencv-python-headless pillow numpy
    python scripts/degradation_golden.py crates/ccface-data/tests/fixtures/degradation.json

The input picture is a formula, the same in the Rust test. Values are rounded to one decimal (0.05 is far below the
tolerance of the test); JPEG values are whole numbers.
"""

import io
import json
import sys

import cv2
import numpy as np
from PIL import Image


def picture(height, width):
    """An RGB picture with smooth parts, edges and fine detail, values 0..255."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    red = 128 + 90 * np.sin(x / 3.1 + y / 5.3)
    green = 40 + 170.0 * (((x // 5) + (y // 4)) % 2)
    blue = 255 * (x + y) / (width + height - 2)
    return np.round(np.stack([red, green, blue], axis=-1)).astype(np.float32)


def numbers(image, digits=1):
    return [round(float(v), digits) for v in np.asarray(image, dtype=np.float64).ravel()]


def main(path):
    size = (22, 26)  # height, width
    face = picture(*size)
    green = np.ascontiguousarray(face[:, :, 1])
    cases = []
    kernels = {
        "nearest": cv2.INTER_NEAREST,
        "bilinear": cv2.INTER_LINEAR,
        "bicubic": cv2.INTER_CUBIC,
        "area": cv2.INTER_AREA,
        "lanczos4": cv2.INTER_LANCZOS4,
    }
    for width, height in [(13, 11), (9, 7), (29, 24)]:
        for name, flag in kernels.items():
            out = cv2.resize(green, (width, height), interpolation=flag)
            cases.append({"what": "resize", "kernel": name, "width": width, "height": height, "green": numbers(out)})
        out = Image.fromarray(green).resize((width, height), Image.Resampling.BOX)
        cases.append({"what": "resize", "kernel": "box", "width": width, "height": height, "green": numbers(out)})
    for sigma in [0.7, 1.6]:
        reach = int(np.ceil(4 * sigma))
        out = cv2.GaussianBlur(green, (2 * reach + 1,) * 2, sigma, borderType=cv2.BORDER_REPLICATE)
        cases.append({"what": "gaussian", "sigma": sigma, "green": numbers(out)})
    angle = 0.2
    c, s = np.cos(angle), np.sin(angle)
    matrix = np.array([[c, -s, 12.5 - c * 12.5 + s * 10.5], [s, c, 10.5 - s * 12.5 - c * 10.5]])
    out = cv2.warpAffine(green, matrix, (size[1], size[0]), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    cases.append({"what": "rotate", "angle": angle, "green": numbers(out)})
    # Colours about as strong as a face's: a quarter of the picture's.
    soft = np.round(0.25 * face + 0.75 * green[:, :, None]).astype(np.uint8)
    for quality in [30, 75]:
        stream = io.BytesIO()
        Image.fromarray(soft).save(stream, "JPEG", quality=quality)
        out = np.asarray(Image.open(io.BytesIO(stream.getvalue())))
        planes = {"red": out[:, :, 0], "green": out[:, :, 1], "blue": out[:, :, 2]}
        cases.append({"what": "jpeg", "quality": quality, **{k: [int(v) for v in p.ravel()] for k, p in planes.items()}})
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"width": size[1], "height": size[0], "cases": cases}, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
