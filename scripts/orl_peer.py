"""The peer of `ccface distill --config configs/orl.toml`: the same setting written anew in PyTorch.

    pip install torch onnx onnx2torch numpy pillow
    python scripts/orl_peer.py FACES mobilefacenet.onnx --seed 1                    (train s01..s20, test s21..s40)
    python scripts/orl_peer.py FACES mobilefacenet.onnx --seed 1 --fold 0           (train and test inside s01..s20)

Prints the EER in % at 8, 12, 16, 24 and 112 px, LR probe against HR gallery: of the last weights, and of their mean over the last
`--tail` of the steps. The draws are numpy's, so no run equals one of ours; the settings do.
"""

import argparse
import glob
import math
import os
import tempfile

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx2torch import convert
from PIL import Image

SIZES = [7, 8, 10, 12, 14, 16, 20, 24, 32, 56, 112]
SIDE = 112


def faces(folder, people):
    images, labels = [], []
    for label, person in enumerate(people):
        for file in sorted(glob.glob(os.path.join(folder, person, "*"))):
            images.append(np.asarray(Image.open(file).convert("RGB"), np.float32))
            labels.append(label)
    return torch.tensor(np.stack(images)).permute(0, 3, 1, 2).contiguous(), torch.tensor(labels)


def area(size):
    """The matrix of the exact area average from SIDE to `size` pixels."""
    matrix = torch.zeros(size, SIDE)
    for i in range(size):
        low, high = i * SIDE / size, (i + 1) * SIDE / size
        for j in range(SIDE):
            matrix[i, j] = max(0.0, min(high, j + 1) - max(low, j)) * size / SIDE
    return matrix


AREA = {size: area(size) for size in SIZES}


def lr_view(x, size):
    if size >= SIDE:
        return x
    matrix = AREA[size]
    return F.interpolate(matrix @ x @ matrix.T, size=(SIDE, SIDE), mode="bicubic", align_corners=False)


def network(path):
    """The ONNX network with a free batch size, its weights trainable."""
    model = onnx.load(path)
    for value in model.graph.input:
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    for tensor in model.graph.initializer:
        shape = onnx.numpy_helper.to_array(tensor)
        if shape.dtype == np.int64 and shape.tolist() == [1, -1]:
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.array([0, -1], np.int64), tensor.name))
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        onnx.save(model, file.name)
        return convert(file.name).eval()


def embed(net, images):
    with torch.no_grad():
        return torch.cat([F.normalize(net((b - 127) / 128), dim=1) for b in images.split(40)])


def eer(probe, gallery, labels):
    scores, off = (probe @ gallery.T).numpy(), ~np.eye(len(labels), dtype=bool)
    same = labels[:, None] == labels[None]
    genuine, impostor = np.sort(scores[same & off]), np.sort(scores[~same])
    thresholds = np.unique(np.concatenate([genuine, impostor]))
    fnmr = np.searchsorted(genuine, thresholds) / len(genuine)
    fmr = 1 - np.searchsorted(impostor, thresholds) / len(impostor)
    i = np.argmin(abs(fnmr - fmr))
    return 50 * (fnmr[i] + fmr[i])


def objective(z, t, y, prototypes, args):
    """Classification consistency with the retention margin, contrast with in-batch keys and push, embedding consistency."""
    cosine = (z @ prototypes.T).clamp(-1 + 1e-6, 1 - 1e-6)
    own = cosine.gather(1, y[:, None])[:, 0]
    teachers = (t * prototypes[y]).sum(1)
    margin = 0.5 * (own.detach().clamp(0, 1) / teachers.clamp(0.2, 1)).clamp(0, 1)
    angle = own.acos()
    psi = torch.where(angle + margin <= math.pi, (angle + margin).cos(), own - margin * margin.sin())
    classification = F.cross_entropy(30 * cosine.scatter(1, y[:, None], psi[:, None]), y)
    others = y[:, None] != y[None]
    positive = (z * t).sum(1) / 0.1
    keys, push = ((z @ k.T / 0.1).masked_fill(~others, -1e9) for k in (t, z))
    contrast = (torch.logsumexp(torch.cat([positive[:, None], keys, push], 1), 1) - positive).mean()
    return classification + args.contrast * contrast + args.embedding * (1 - (z * t).sum(1)).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faces")
    parser.add_argument("onnx")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fold", type=int, help="0 or 1: train on half of s01..s20, test on the other half")
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--rate", type=float, default=0.006)
    parser.add_argument("--schedule", choices=["constant", "cosine"], default="constant")
    parser.add_argument("--tail", type=float, default=0.5)
    parser.add_argument("--contrast", type=float, default=2.0)
    parser.add_argument("--embedding", type=float, default=10.0)
    args = parser.parse_args()

    people = [f"s{i:02d}" for i in range(1, 41)]
    train, test = people[:20], people[20:]
    if args.fold is not None:
        order = np.random.default_rng(7).permutation(20)
        halves = [sorted(people[i] for i in order[:10]), sorted(people[i] for i in order[10:])]
        train, test = halves[args.fold], halves[1 - args.fold]
    images, labels = faces(args.faces, train)
    unseen, unseen_labels = faces(args.faces, test)
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    teacher, student = network(args.onnx), network(args.onnx)
    plain, flipped = embed(teacher, images), embed(teacher, images.flip(3))
    prototypes = F.normalize(torch.stack([plain[labels == c].mean(0) for c in range(len(train))]), dim=1)
    weights = [p.requires_grad_(True) for p in student.parameters() if p.dtype == torch.float32]
    optimiser = torch.optim.SGD(weights, lr=args.rate, momentum=0.9, weight_decay=5e-4)
    steps, step, mean, averaged = args.epochs * len(images) // 40, 0, None, 0
    for _ in range(args.epochs):
        order = rng.permutation(len(images))
        for start in range(0, len(order), 40):
            index, views, keys = torch.tensor(order[start : start + 40]), [], []
            for i in index.tolist():
                flip = rng.random() < 0.5
                face = images[i : i + 1].flip(3) if flip else images[i : i + 1]
                views.append(lr_view(face, SIZES[rng.integers(len(SIZES))]))
                keys.append((flipped if flip else plain)[i])
            z = F.normalize(student((torch.cat(views) - 127) / 128), dim=1)
            loss = objective(z, torch.stack(keys), labels[index], prototypes, args)
            decay = 1.0 if args.schedule == "constant" else 0.5 * (1 + math.cos(math.pi * step / steps))
            for group in optimiser.param_groups:
                group["lr"] = args.rate * decay
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, 5.0)
            optimiser.step()
            step += 1
            if step > steps - math.ceil(args.tail * steps):
                averaged += 1
                with torch.no_grad():
                    mean = [p.clone() for p in weights] if mean is None else [m + (p - m) / averaged for m, p in zip(mean, weights)]

    def show(what):
        gallery = embed(student, unseen)
        rates = [eer(embed(student, lr_view(unseen, size)), gallery, unseen_labels.numpy()) for size in (8, 12, 16, 24, 112)]
        print(what, " / ".join(f"{rate:.2f}" for rate in rates), flush=True)

    show("last weights")
    if mean is not None:
        with torch.no_grad():
            for p, m in zip(weights, mean):
                p.copy_(m)
        show("mean of the tail")


if __name__ == "__main__":
    main()
