"""The peer of `cargo bench -p ccface-data --bench pairs`: the same work in Python, pairs per second.

    pip install pillow numpy            (and torch, for its DataLoader)
    mkdir -p pictures && CCFACE_BENCH_OUT=pictures cargo bench -p ccface-data --bench pairs -- adaface
    python scripts/pairs_peer.py pictures [WORKERS]

Each pair: decode a 112×112 JPEG, flip with p 0.5, AdaFace's degradation (crop on black, side ratio U(0.2, 1) down and up
with random kernels, colour jitter, each with p 0.2) for the LR view, both views as float32 CHW. Files are read into memory
first, as in the bench. Without torch the loop runs in this process and makes batches with numpy.
"""

import io
import os
import random
import sys
import time

import numpy as np
from PIL import Image, ImageEnhance

KERNELS = [Image.Resampling.NEAREST, Image.Resampling.BILINEAR, Image.Resampling.BOX, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS]
BATCH = 50


def degrade(face):
    if random.random() < 0.2:
        share, ratio = random.uniform(0.2, 1), np.exp(random.uniform(np.log(3 / 4), np.log(4 / 3)))
        w = min(112, round((112 * 112 * share * ratio) ** 0.5))
        h = min(112, round((112 * 112 * share / ratio) ** 0.5))
        x, y = random.randint(0, 112 - w), random.randint(0, 112 - h)
        black = Image.new("RGB", (112, 112))
        black.paste(face.crop((x, y, x + w, y + h)), (x, y))
        face = black
    if random.random() < 0.2:
        side = max(1, int(112 * random.uniform(0.2, 1)))
        face = face.resize((side, side), random.choice(KERNELS)).resize((112, 112), random.choice(KERNELS))
    if random.random() < 0.2:
        changes = [ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color]
        random.shuffle(changes)
        for change in changes:
            face = change(face).enhance(random.uniform(0.5, 1.5))
    return face


def planes(face):
    return np.ascontiguousarray(np.asarray(face).transpose(2, 0, 1), dtype=np.float32)


class Pairs:
    def __init__(self, files):
        self.files = files

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        face = Image.open(io.BytesIO(self.files[i])).convert("RGB")
        if random.random() < 0.5:
            face = face.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return planes(degrade(face)), planes(face)


def numpy_batches(pairs):
    order = random.sample(range(len(pairs)), len(pairs))
    for start in range(0, len(order), BATCH):
        made = [pairs[i] for i in order[start : start + BATCH]]
        yield np.stack([m[0] for m in made]), np.stack([m[1] for m in made])


def main():
    folder = sys.argv[1]
    workers = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    names = sorted(os.listdir(folder))
    pairs = Pairs([open(os.path.join(folder, name), "rb").read() for name in names] * 5)
    try:
        from torch.utils.data import DataLoader

        batches, peer = (lambda: DataLoader(pairs, batch_size=BATCH, shuffle=True, num_workers=workers)), "torch DataLoader"
    except ImportError:
        batches, peer = (lambda: numpy_batches(pairs)), "numpy, no torch"
    rates = []
    for _ in range(7):
        start, n = time.perf_counter(), 0
        for student, _hr in batches():
            n += len(student)
        rates.append(n / (time.perf_counter() - start))
    print(f"PIL + {peer}, {workers} workers: {sorted(rates)[3]:.0f} pairs/s (median of 7 passes), {max(rates):.0f} (best)")


if __name__ == "__main__":
    main()
