"""Writes small sets in the field's formats, independently of the Rust readers that are tested with them.

    pip install pillow numpy
    python scripts/format_fixtures.py crates/ccface-data/tests/fixtures/formats

RecordIO in three variants (InsightFace with a header record, im2rec, and MarginDistillation's 512 numbers + class), with
records that hold the magic number and are therefore split; `.bin` sets as Python 2, Python 3 and numpy pickle them; and
a pickle that would run a command.
"""

import io
import os
import pickle
import struct
import sys

import numpy as np
from PIL import Image, PngImagePlugin

MAGIC = struct.pack("<I", 0xCED7230A)


def picture(person, number):
    """8×8 pixels: red tells the person, green the number, blue the place."""
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:, :, 0] = 40 * person + 10
    pixels[:, :, 1] = 30 * number + 5
    pixels[:, :, 2] = np.arange(64).reshape(8, 8)
    return pixels


def png(pixels, magics=0):
    """PNG bytes; `magics` copies of the magic number go into a comment at each of the four alignments."""
    info = PngImagePlugin.PngInfo()
    if magics:
        info.add(b"prVt", b"".join(MAGIC * magics + b"x" for _ in range(5)))
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", pnginfo=info)
    return stream.getvalue()


def split(payload):
    """The payload as a record, cut where it holds the magic number at a multiple of four."""
    cuts = [i for i in range(0, len(payload) - len(payload) % 4, 4) if payload[i : i + 4] == MAGIC]
    parts, start = [], 0
    for cut in cuts:
        parts.append(payload[start:cut])
        start = cut + 4
    parts.append(payload[start:])
    out = b""
    for i, part in enumerate(parts):
        flag = 0 if len(parts) == 1 else 1 if i == 0 else 3 if i == len(parts) - 1 else 2
        out += MAGIC + struct.pack("<I", flag << 29 | len(part)) + part + b"\0" * (-len(part) % 4)
    return out, len(parts)


def header(label, key):
    labels = [label] if np.isscalar(label) else list(label)
    flag = 0 if np.isscalar(label) else len(labels)
    head = struct.pack("<IfQQ", flag, labels[0] if flag == 0 else 0.0, key, 0)
    return head + (b"" if flag == 0 else struct.pack(f"<{flag}f", *labels))


def write(folder, name, records, shuffle):
    data, index, most = b"", [], 1
    for key, payload in records:
        index.append((key, len(data)))
        record, parts = split(payload)
        most = max(most, parts)
        data += record
    assert most > 1, "no record was split"
    if shuffle:
        index = index[::2] + index[1::2]
    with open(os.path.join(folder, f"{name}.rec"), "wb") as file:
        file.write(data)
    with open(os.path.join(folder, f"{name}.idx"), "w", encoding="ascii") as file:
        file.writelines(f"{key}\t{offset}\n" for key, offset in index)


def record_sets(folder):
    faces = [(person, number) for person in range(3) for number in range(2 + person)]
    images = [png(picture(*face), magics=2 if i % 3 == 1 else 0) for i, face in enumerate(faces)]
    n = len(faces)
    # InsightFace: images 1..N, then the header record 0, then one record per identity.
    records = [(i + 1, header([face[0], 1.0], i + 1) + image) for i, (face, image) in enumerate(zip(faces, images))]
    records.append((0, header([n + 1.0, n + 4.0], 0)))
    first = 1
    for person in range(3):
        records.append((n + 1 + person, header([float(first), float(first + 2 + person)], n + 1 + person)))
        first += 2 + person
    write(folder, "insightface", records, shuffle=True)
    write(folder, "plain", [(i, header(float(face[0]), i) + image) for i, (face, image) in enumerate(zip(faces, images))], False)
    embedding = [float(v) for v in np.linspace(-1, 1, 512)]
    kept = list(enumerate(zip(faces, images)))[:4]
    write(folder, "embedded", [(i, header([*embedding, float(face[0])], i) + image) for i, (face, image) in kept], False)


def python2(items, same):
    """What Python 2 writes with protocol 2 for (list of str, list of bool)."""
    out = b"\x80\x02]q\x01("
    memo = 2
    for item in items:
        short = len(item) < 256
        out += (b"U" + struct.pack("<B", len(item)) if short else b"T" + struct.pack("<i", len(item))) + item
        out += b"q" + struct.pack("<B", memo)
        memo += 1
    out += b"e]q" + struct.pack("<B", memo) + b"(" + b"".join(b"\x88" if s else b"\x89" for s in same)
    return out + b"e\x86q" + struct.pack("<B", memo + 1) + b"."


class Command:
    def __reduce__(self):
        return os.system, ("echo this must never run",)


def pair_sets(folder):
    pairs = [((0, 0), (0, 1), True), ((0, 2), (1, 2), False), ((2, 0), (2, 3), True)]
    items = [png(picture(*face)) for pair in pairs for face in pair[:2]]
    same = [pair[2] for pair in pairs]
    arrays = [np.frombuffer(item, np.uint8) for item in items]
    columns = [np.array(a).reshape(-1, 1) for a in arrays]
    assert pickle.loads(python2(items, same), encoding="bytes") == (items, same)
    old = pickle.dumps((columns, [np.bool_(s) for s in same]), 2).replace(b"numpy._core", b"numpy.core")
    files = {
        "python2": python2(items, same),
        "python3": pickle.dumps((items, same), 4),
        "python3_protocol2": pickle.dumps((items, same), 2),
        "numpy": pickle.dumps((arrays, np.array(same)), 4),
        "numpy_old": old,
        "numpy_protocol5": pickle.dumps((columns, [np.bool_(s) for s in same]), 5),
        "malicious": pickle.dumps((items[:2], [Command()]), 2),
    }
    for name, content in files.items():
        with open(os.path.join(folder, f"{name}.bin"), "wb") as file:
            file.write(content)


def odd_pictures(folder):
    """Left half red, right half blue, as real archives hold it: turned by EXIF, CMYK, grey, 16 bits, and a bomb."""
    folder = os.path.join(folder, "pictures")
    os.makedirs(folder, exist_ok=True)
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:, :16] = [230, 20, 20]
    pixels[:, 16:] = [20, 20, 230]
    picture = Image.fromarray(pixels)

    def save(name, image, kind, **more):
        image.save(os.path.join(folder, name), kind, **more)

    exif = Image.Exif()
    exif[0x0112] = 6
    save("turned.jpg", picture, "JPEG", quality=95, exif=exif)
    save("cmyk.jpg", picture.convert("CMYK"), "JPEG", quality=95)
    save("grey.jpg", picture.convert("L"), "JPEG", quality=95)
    save("palette.png", picture.convert("P", palette=Image.Palette.ADAPTIVE), "PNG")
    save("progressive.jpg", picture, "JPEG", quality=95, progressive=True)
    save("grey16.png", Image.fromarray(np.full((16, 32), 0x80FF, np.uint16)), "PNG")
    save("alpha.png", picture.convert("RGBA"), "PNG")
    # The size shows in the header, so the beginning is enough.
    stream = io.BytesIO()
    Image.new("1", (30000, 30000)).save(stream, "PNG")
    with open(os.path.join(folder, "bomb.png"), "wb") as file:
        file.write(stream.getvalue()[:1000])
    with open(os.path.join(folder, "grey16.pgm"), "wb") as file:
        file.write(b"P5\n2 1\n65535\n\x80\xff\x00\x00")


if __name__ == "__main__":
    os.makedirs(sys.argv[1], exist_ok=True)
    record_sets(sys.argv[1])
    pair_sets(sys.argv[1])
    odd_pictures(sys.argv[1])
