"""RandAugment of the reference in plain NumPy, as slow and as plain as can be: the oracle of the parity tests.

Every float is a float32 and every operation rounds by itself, as TensorFlow's kernels do, but for the convolution, whose sums
are fused multiply-adds: a product of a float32 and a small whole number is exact in float64, and so is its sum with a float32.
"""

import math

import numpy as np

f32 = np.float32
FILL = 128
GEOMETRIC = ("Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY")


def whole(values):
    """What a cast to uint8 makes of floats within its range."""
    return np.trunc(values).astype(np.uint8)


def mix(degenerate, image, factor):
    base, factor = degenerate.astype(f32), f32(factor)
    return whole(np.clip(base + factor * (image.astype(f32) - base), f32(0), f32(255)))


def luma(image):
    unit = image.astype(f32) * f32(1 / 255)
    red, green, blue = (unit[..., channel] * f32(weight) for channel, weight in enumerate((0.2989, 0.5870, 0.1140)))
    return whole((red + green + blue) * f32(255.5))


def autocontrast(image):
    out = image.copy()
    for channel in range(3):
        values = image[..., channel].astype(f32)
        low, high = values.min(), values.max()
        if high > low:
            scale = f32(255) / (high - low)
            out[..., channel] = whole(np.clip(values * scale + -low * scale, f32(0), f32(255)))
    return out


def equalize(image):
    out = image.copy()
    for channel in range(3):
        histogram = np.bincount(image[..., channel].ravel(), minlength=256)
        step = (histogram.sum() - histogram[histogram > 0][-1]) // 255
        if step:
            table = np.concatenate([[0], (np.cumsum(histogram) + step // 2) // step])[:256]
            out[..., channel] = np.clip(table, 0, 255)[image[..., channel]]
    return out


def smooth(image):
    out, (height, width, _) = image.copy(), image.shape
    total = np.zeros((height - 2, width - 2, 3), f32)
    for row, weights in enumerate(((1, 1, 1), (1, 5, 1), (1, 1, 1))):
        for column, weight in enumerate(weights):
            window = image[row : height - 2 + row, column : width - 2 + column].astype(np.float64)
            total = (total + window * np.float64(f32(weight) / f32(13))).astype(f32)
    out[1:-1, 1:-1] = whole(total)
    return out


def move(image, a, b, c, d, e, f):
    """Output (x, y) shows input (a x + b y + c, d x + e y + f), rounded half away from zero."""
    height, width, _ = image.shape
    y, x = (grid.astype(f32) for grid in np.mgrid[:height, :width])

    def position(u, v, w):
        exact = np.float64(f32(u) * x + f32(v) * y + f32(w))
        return (np.sign(exact) * np.floor(np.abs(exact) + 0.5)).astype(int)

    column, row = position(a, b, c), position(d, e, f)
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    out = np.full_like(image, FILL)
    out[inside] = image[row[inside], column[inside]]
    return out


def rotate(image, degrees):
    radians = float(f32(degrees) * f32(math.pi / 180))
    cosine, sine = f32(math.cos(radians)), f32(math.sin(radians))
    right, bottom = f32(image.shape[1] - 1), f32(image.shape[0] - 1)
    x = (right - (cosine * right - sine * bottom)) / f32(2)
    y = (bottom - (sine * right + cosine * bottom)) / f32(2)
    return move(image, cosine, -sine, x, sine, cosine, y)


def cut(image, pad, centre):
    out = image.copy()
    rows, columns = (slice(max(at - pad, 0), max(at + pad, 0)) for at in centre)
    out[rows, columns] = FILL
    return out


def posterize(image, bits, fixed):
    if fixed:
        bits = min(max(bits, 1), 8)
    shift = (8 - bits) % 256
    return image >> min(shift, 7) << min(shift, 7)


def contrast(image, factor, fixed):
    pixels = image.shape[0] * image.shape[1]
    mean = int(luma(image).astype(int).sum()) // pixels if fixed else min(pixels // 256, 255)
    return mix(np.full_like(image, mean), image, factor)


def apply(image, name, magnitude, *, negate=False, centre=(0, 0), translate=100, cutout=40, fixed=False):
    """Applies one operation to `image` uint8[H, W, 3]; `magnitude` is a Python float, 10 the full level."""
    level = float(magnitude) / 10
    sign = -1 if negate else 1
    factor = level * 1.8 + 0.1
    threshold = int(level * 256) if fixed else int(level * 256) % 256
    added = np.clip(image.astype(int) + int(level * 110), 0, 255).astype(np.uint8)
    slope, shift = sign * f32(level * 0.3), sign * f32(level * translate)
    return {
        "AutoContrast": lambda: autocontrast(image),
        "Equalize": lambda: equalize(image),
        "Invert": lambda: 255 - image,
        "Rotate": lambda: rotate(image, sign * f32(level * 30)),
        "Posterize": lambda: posterize(image, int(level * 4), fixed),
        "Solarize": lambda: np.where(image < threshold, image, 255 - image),
        "Color": lambda: mix(np.repeat(luma(image)[..., None], 3, axis=2), image, factor),
        "Contrast": lambda: contrast(image, factor, fixed),
        "Brightness": lambda: mix(np.zeros_like(image), image, factor),
        "Sharpness": lambda: mix(smooth(image), image, factor),
        "ShearX": lambda: move(image, 1, slope, 0, 0, 1, 0),
        "ShearY": lambda: move(image, 1, 0, 0, slope, 1, 0),
        "TranslateX": lambda: move(image, 1, 0, shift, 0, 1, 0),
        "TranslateY": lambda: move(image, 1, 0, 0, 0, 1, shift),
        "Cutout": lambda: cut(image, int(level * cutout), centre),
        "SolarizeAdd": lambda: np.where(image < 128, added, image),
    }[name]()
