"""Anatomy: a woman's breasts, and how they look in the four pictures of a screening exam.

Lengths are in millimeters. A picture is drawn with the chest wall on its left edge (x = 0) and the nipple pointing
right, then mirrored for the right breast, which hangs the other way in the standard display.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.phantom.texture import Field, Tissue, weave

DENSE_FRACTION = {"A": (0.02, 0.07), "B": (0.11, 0.24), "C": (0.33, 0.52), "D": (0.62, 0.78)}
"""Share of the breast's projected area that is dense, by BI-RADS 5th edition category: low and high end."""

_GRID_MM = 2.0


@dataclass(frozen=True)
class Anatomy:
    """What one woman's breasts are like. Lengths in millimeters; both breasts and all views follow from these.

    ``depth``: nipple to chest wall; ``upper``/``lower``: half heights at the chest wall; ``thickness``: compressed;
    ``tail``: width of the axillary tail over ``depth``; ``point``: how round the breast is (2: an ellipse, less: more
    pointed); ``pectoral``/``pectoral_height``: the muscle's width and height in the MLO; ``nipple``: its height;
    ``lobulation``: how scattered the gland is (0…1); ``trabeculae``, ``vessels``: how clearly they show (0…1);
    ``dense_fraction``: share of the breast's area that is dense.
    """

    density: str
    dense_fraction: float
    depth: float
    upper: float
    lower: float
    thickness: float
    tail: float
    pectoral: float
    pectoral_height: float
    point: float
    nipple: float
    lobulation: float
    trabeculae: float
    vessels: float
    seed: int

    @property
    def needs(self) -> tuple[float, float]:
        """Height and width in millimeters that a detector should have to hold the whole breast in every view."""
        return self.upper + self.lower + 20.0, self.depth * 1.12 + 15.0


def grow(density: str, seed: int) -> Anatomy:
    """A woman whose breasts are of the given density category; the same seed gives the same woman."""
    rng = np.random.default_rng([seed, 0xB0D1])
    low, high = DENSE_FRACTION[density]
    size = float(np.clip(rng.normal(1.0 - 0.04 * "ABCD".index(density), 0.15), 0.68, 1.32))
    return Anatomy(
        density=density,
        dense_fraction=float(low + (high - low) * rng.beta(2.0, 2.0)),
        depth=size * float(rng.uniform(68.0, 100.0)),
        upper=size * float(rng.uniform(88.0, 110.0)),
        lower=size * float(rng.uniform(80.0, 100.0)),
        thickness=float(np.clip(58.0 * size * rng.normal(1.0, 0.12), 25.0, 90.0)),
        tail=float(rng.uniform(0.52, 0.70)),
        pectoral=size * float(rng.uniform(38.0, 62.0)),
        pectoral_height=size * float(rng.uniform(105.0, 155.0)),
        point=float(rng.uniform(1.55, 2.15)),
        nipple=float(rng.uniform(3.2, 5.0)),
        lobulation=float(rng.uniform(0.25, 0.85) if density in "AB" else rng.uniform(0.1, 0.6)),
        trabeculae=float(rng.uniform(0.5, 1.0)),
        vessels=float(rng.uniform(0.2, 1.0)),
        seed=seed,
    )


@dataclass(frozen=True)
class Drawing:
    """A drawn mammogram before any vendor has touched it.

    ``picture``: brightness 0…1 as a radiologist sees it, float32 (rows, columns), air = 0; ``attenuation``: the line
    integral that the detector measures, 0…1, with the breast's thickness falling off at its margin; ``breast`` and
    ``gland``: boolean masks (the pectoral muscle belongs to the breast, not to the gland); ``pectoral``: its mask.
    """

    picture: Field
    attenuation: Field
    breast: NDArray[np.bool_]
    gland: NDArray[np.bool_]
    pectoral: NDArray[np.bool_]

    @property
    def dense_fraction(self) -> float:
        """Dense area over breast area without the pectoral muscle."""
        return float(self.gland.sum() / max(1, (self.breast & ~self.pectoral).sum()))


def draw_breast(
    anatomy: Anatomy,
    laterality: str,
    view: str,
    *,
    shape: tuple[int, int],
    spacing: float,
    tissue: Tissue | None = None,
) -> Drawing:
    """Draw one picture: ``laterality`` L or R, ``view`` CC or MLO, ``shape`` (rows, columns), ``spacing`` mm a pixel.

    ``tissue`` is the woman's, to save weaving it again for each of her pictures. A breast larger than the detector is
    cut off by its edges. The right breast points left, the left breast right (the standard's hanging).
    """
    tissue = tissue or weave(anatomy.seed, 1.5 * spacing)
    rng = np.random.default_rng([anatomy.seed, "LR".index(laterality), ("CC", "MLO").index(view)])
    side = np.random.default_rng([anatomy.seed, 0x51DE, "LR".index(laterality)])
    outline = _outline(anatomy, view, shape, spacing, side, rng)
    rows, columns = _extent(outline, shape, spacing)
    y = (np.arange(rows, dtype=np.float32) + 0.5)[:, None] * np.float32(spacing)
    x = (np.arange(columns, dtype=np.float32) + 0.5)[None, :] * np.float32(spacing)
    depth = _depth_below_skin(outline, rows, columns, spacing)
    part = _Part(anatomy, tissue, view, outline, x, y, depth, spacing, side, rng)
    picture, attenuation, gland, pectoral = part.draw()
    place = _Placed(shape, laterality == "R")
    return Drawing(place(picture), place(attenuation), place(depth > 0), place(gland), place(pectoral))


@dataclass(frozen=True)
class _Placed:
    """Puts the drawn part back on the whole detector, mirrored for the right breast."""

    shape: tuple[int, int]
    mirrored: bool

    def __call__(self, part: NDArray) -> NDArray:
        whole = np.zeros(self.shape, part.dtype)
        whole[: part.shape[0], : part.shape[1]] = part
        return np.ascontiguousarray(whole[:, ::-1]) if self.mirrored else whole


@dataclass(frozen=True)
class _Outline:
    """The skin: ``x`` over ``y`` (millimeters, y rising), and the nipple's place."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    nipple_x: float
    nipple_y: float


def _outline(
    anatomy: Anatomy,
    view: str,
    shape: tuple[int, int],
    spacing: float,
    side: np.random.Generator,
    rng: np.random.Generator,
) -> _Outline:
    height = shape[0] * spacing
    wobble = side.normal(0.0, 0.02, 4)
    depth = anatomy.depth * (1 + wobble[0])
    upper, lower = anatomy.upper * (1 + wobble[1]), anatomy.lower * (1 + wobble[2])
    y = np.arange(-30.0, height + 30.0, 0.4)
    if view == "CC":
        nipple_y = float(np.clip(height * 0.5 + rng.normal(0, 4), upper * 0.8, height - lower * 0.8))
        x = _egg(y - nipple_y, depth, upper, lower, back=10.0, power=anatomy.point)
        nipple_y += float(side.normal(0, 4.0))
    else:
        depth *= float(rng.uniform(1.0, 1.08))
        nipple_y = float(min(height - lower * 0.97, max(height * 0.60, upper * 1.1)) + rng.normal(0, 3))
        body = _egg(y - nipple_y, depth, upper * 1.35, lower, back=14.0, power=min(2.0, anatomy.point + 0.15))
        down = y / nipple_y
        tail = depth * anatomy.tail * (1.0 + 0.12 * np.cos(3.0 * np.clip(down, -0.2, 1.05)))
        tail = np.where(down > 1.0, tail - 1.5 * (y - nipple_y), tail)
        x = _blend(body, tail, 12.0)
        nipple_y += float(rng.uniform(2.0, 9.0))
    at_nipple = float(np.interp(nipple_y, y, x))
    inverted = float(rng.uniform(0.55, 1.0))
    x = x + inverted * anatomy.nipple * np.exp(-(np.abs((y - nipple_y) / (0.85 * anatomy.nipple)) ** 3))
    return _Outline(x, y, at_nipple, nipple_y)


def _egg(y: NDArray[np.float64], depth: float, upper: float, lower: float, back: float, power: float) -> NDArray:
    """The free half of an egg: x over y, with its axis ``back`` behind the image's edge, to meet it slanted."""
    s = np.abs(np.where(y < 0, y / upper, y / lower))
    x = (depth + back) * np.maximum(0.0, 1.0 - s**power) ** (1.0 / 1.85) - back
    return np.where(s < 1.0, x, -back - 40.0 * (s - 1.0))


def _blend(a: NDArray[np.float64], b: NDArray[np.float64], softness: float) -> NDArray[np.float64]:
    """A maximum without a corner."""
    return softness * np.logaddexp(a / softness, b / softness)


def _extent(outline: _Outline, shape: tuple[int, int], spacing: float) -> tuple[int, int]:
    visible = (outline.y > 0) & (outline.y < shape[0] * spacing)
    columns = int(np.ceil((outline.x[visible].max() + 2.0) / spacing))
    return shape[0], int(np.clip(columns, 8, shape[1]))


def _depth_below_skin(outline: _Outline, rows: int, columns: int, spacing: float) -> Field:
    """Distance to the skin in millimeters, positive inside; measured on a coarse grid, then interpolated."""
    from scipy.spatial import cKDTree

    gy = np.arange(0.0, rows * spacing + 2 * _GRID_MM, _GRID_MM)
    gx = np.arange(0.0, columns * spacing + 2 * _GRID_MM, _GRID_MM)
    skin = np.column_stack([outline.y, outline.x])
    dense = np.linspace(0, len(skin) - 1, 4 * len(skin))
    skin = np.column_stack([np.interp(dense, np.arange(len(skin)), c) for c in skin.T])
    points = np.stack(np.meshgrid(gy, gx, indexing="ij"), axis=-1)
    distance, _ = cKDTree(skin).query(points.reshape(-1, 2))
    inside = points[..., 1] < np.interp(points[..., 0], outline.y, outline.x)
    coarse = np.where(inside, 1.0, -1.0) * distance.reshape(inside.shape)
    wy, wx = _interpolation(rows, spacing, len(gy)), _interpolation(columns, spacing, len(gx))
    return (wy @ coarse.astype(np.float32) @ wx.T).astype(np.float32)


def _interpolation(count: int, spacing: float, nodes: int) -> Field:
    """A (count, nodes) matrix of linear interpolation weights from the coarse grid to pixel centers."""
    at = (np.arange(count) + 0.5) * spacing / _GRID_MM
    left = np.minimum(at.astype(int), nodes - 2)
    weights = np.zeros((count, nodes), np.float32)
    weights[np.arange(count), left] = 1.0 - (at - left)
    weights[np.arange(count), left + 1] = at - left
    return weights


def _rise(x: Field, softness: float) -> Field:
    """The logistic function, 0…1, over ``softness``."""
    return 1.0 / (1.0 + np.exp(np.clip(-x / np.float32(softness), -30, 30)))


@dataclass(frozen=True)
class _Part:
    """The part of the detector that the breast covers, and everything needed to fill it."""

    anatomy: Anatomy
    tissue: Tissue
    view: str
    outline: _Outline
    x: Field
    y: Field
    depth: Field
    spacing: float
    side: np.random.Generator
    rng: np.random.Generator

    def draw(self) -> tuple[Field, Field, NDArray[np.bool_], NDArray[np.bool_]]:
        """Picture, attenuation, gland mask and pectoral mask."""
        a, depth = self.anatomy, self.depth
        u, v, radius = self._toward_nipple()
        shift = [float(s) for s in self.side.uniform(0, 256, 2) + self.rng.normal(0, 5, 2)]
        lobes, grain, web = (self.tissue.sample(n, u + shift[0], v + shift[1]) for n in ("lobes", "grain", "web"))
        ligaments = self.tissue.sample("ligaments", 0.45 * u + shift[1], v + shift[0])
        layer = self.tissue.sample("lobes", v + shift[1], u + shift[0])
        vessels = self.tissue.sample("vessels", self.x + np.float32(shift[1]) + 0 * self.y, self.y + 0 * self.x)
        muscle, muscle_gray = self._pectoral()
        dense, gland = self._gland(lobes, layer, grain, ligaments + web, radius, muscle)
        inner = 1.0 - np.exp(-np.maximum(depth, 0) / 5.0)
        lines = a.trabeculae * (0.08 * web + 0.13 * ligaments * inner) + 0.10 * a.vessels * vessels * inner
        fat = 0.235 + 0.022 * (lobes + layer) + 0.018 * grain + lines
        tissue = fat + dense * (0.37 + 0.06 * layer + 0.04 * lobes + 0.012 * grain)
        tissue *= 0.80 + 0.20 * inner
        tissue = tissue * (1 - muscle) + muscle * (muscle_gray + 0.45 * (tissue - 0.235))
        tissue += self._skin(radius)
        edge = np.clip(depth / self.spacing + 0.5, 0.0, 1.0)
        picture = edge * tissue
        roll = np.clip(depth / (0.5 * a.thickness), 0.0, 1.0)
        thickness = np.sqrt(1.0 - (1.0 - roll) ** 2)
        attenuation = edge * (0.12 + 0.88 * thickness) * (0.55 + 0.45 * tissue)
        noise = self.rng.standard_normal(depth.shape, dtype=np.float32)
        picture = np.clip(picture + 0.008 * noise * edge, 0.0, 1.0).astype(np.float32)
        return picture, np.clip(attenuation, 0, 1).astype(np.float32), gland & (depth > 0), (muscle > 0.5) & (depth > 0)

    def _toward_nipple(self) -> tuple[Field, Field, Field]:
        """Coordinates along and across the ducts, which fan out from the nipple, and the distance from it (mm)."""
        dx = np.float32(self.outline.nipple_x + 14.0) - self.x
        dy = self.y - np.float32(self.outline.nipple_y)
        radius = np.hypot(dx, dy)
        angle = np.arctan2(dy, dx)
        # Half way between a fan and a plain grid: real parenchyma points at the nipple without looking combed.
        u = 0.62 * radius + 0.12 * dx
        v = 34.0 * angle + 0.50 * dy
        return u.astype(np.float32), v.astype(np.float32), radius.astype(np.float32)

    def _gland(
        self, lobes: Field, layer: Field, grain: Field, strands: Field, radius: Field, muscle: Field
    ) -> tuple[Field, NDArray[np.bool_]]:
        """How dense it is (0…1, softly), and the mask of dense tissue, of exactly the woman's dense fraction."""
        a, o = self.anatomy, self.outline
        fill = a.dense_fraction
        center_x = o.nipple_x * (0.58 - 0.10 * fill)
        center_y = o.nipple_y + (-0.06 * a.upper if self.view == "CC" else -0.16 * a.upper)
        ax, ay = o.nipple_x * (0.34 + 0.30 * fill), (a.upper + a.lower) * (0.17 + 0.26 * fill)
        disc = 1.0 - np.hypot((self.x - center_x) / ax, (self.y - center_y) / ay)
        cone = np.exp(-(((radius - 14.0) / 26.0) ** 2))
        ducts = np.exp(-(((radius - 14.0) / 15.0) ** 2))
        under_skin = _rise(self.depth - (9.5 - 3.5 * fill) * (1.0 - 0.75 * ducts) - 1.5 * layer, 1.9)
        scatter = 0.38 + 0.40 * a.lobulation
        base = 1.25 * disc + 0.40 * cone + 0.05 * grain + 0.25 * strands
        axilla = _rise(o.nipple_y - 0.85 * a.upper - self.y, 6.0) if self.view == "MLO" else 0.0
        base = base - 6.0 * (1.0 - under_skin) - 2.5 * muscle - 1.3 * axilla
        breast = (self.depth > 0) & (muscle < 0.5)
        fraction = float(np.clip(fill * (1 + self.rng.normal(0, 0.05)), 0.01, 0.8))
        # Layers of parenchyma lie over one another in a projection, each with its own edge.
        layers = [base + scatter * field for field in (lobes, 0.6 * lobes + 0.8 * layer, layer)]
        level = np.quantile(layers[1][breast], 1.0 - fraction)
        dense = 0.40 * _rise(layers[0] - level, 0.20) + 0.35 * _rise(layers[1] - level, 0.11)
        dense += 0.25 * _rise(layers[2] - level, 0.30)
        return dense.astype(np.float32), (dense > np.quantile(dense[breast], 1.0 - fraction)) & breast

    def _pectoral(self) -> tuple[Field, Field]:
        """The pectoral muscle's mask, soft at its edge, and its gray; nothing in a CC picture."""
        if self.view == "CC":
            return np.zeros_like(self.depth), np.zeros_like(self.depth)
        a = self.anatomy
        width, height = a.pectoral * self.side.uniform(0.92, 1.08), a.pectoral_height * self.side.uniform(0.92, 1.08)
        down = self.y / np.float32(height)
        edge = width * (1.0 - down) + 0.10 * width * np.sin(np.pi * np.clip(down, 0, 1))
        across = (edge - self.x) * np.float32(height / np.hypot(width, height))
        soft = self.rng.uniform(0.8, 1.8)
        muscle = 1.0 / (1.0 + np.exp(-np.clip(across / soft, -30, 30)))
        along = (self.y * height + (width - self.x) * width) / np.float32(np.hypot(width, height))
        streaks = self.tissue.sample("grain", *((along * 0.16).astype(np.float32), (across * 0.9).astype(np.float32)))
        gray = 0.50 + 0.0012 * np.clip(across, 0, 80) + 0.014 * streaks
        return muscle.astype(np.float32), gray.astype(np.float32)

    def _skin(self, radius: Field) -> Field:
        """Brightness that the skin adds: a thin line, thicker around the nipple, and the nipple itself."""
        a, o = self.anatomy, self.outline
        areola = np.exp(-(((radius - 14.0) / (3.2 * a.nipple)) ** 2))
        line = np.exp(-(((self.depth - 0.9) / (0.75 + 0.5 * areola)) ** 2))
        nipple = np.exp(
            -(((self.x - o.nipple_x) / (1.1 * a.nipple)) ** 2) - ((self.y - o.nipple_y) / (1.05 * a.nipple)) ** 2
        )
        return ((0.17 + 0.12 * areola) * line + 0.26 * nipple + 0.07 * areola).astype(np.float32)
