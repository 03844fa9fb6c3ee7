"""CC and MLO of one breast from one latent: a shared trunk, and the last levels twice.

Pictures are (n, 2, rows, columns), CC before MLO. Below the heads both views are drawn from the same features, by
weights of their own: rough, but what those levels are for is to be grown from.

Measured at 40×32 on 950 drawn breasts in 130 CPU-seconds, far from converged: both views as two channels of one
picture came nearer to the real ones (sliced Wasserstein 123 and 101 against 150 and 118) since they were shown 40 %
more pictures. Heads are kept all the same: their critic knows single views too, which calibration and screening need.
"""

import torch
from torch import Tensor, nn

from pipelines.pgan.conditions import VIEW
from pipelines.pgan.layers import EqualizedConvolution, EqualizedLinear, ToGray, activate
from pipelines.pgan.networks import Critic, Generator, blend, doubled, minibatch_stddev
from pipelines.pgan.settings import HEAD_LEVELS, PGANSettings


class TwoViewGenerator(Generator):
    """A generator of pairs, (n, 2, rows, columns); the codes' view does not count."""

    channels = 2

    def __init__(self, settings: PGANSettings) -> None:
        super().__init__(settings)
        maps, self.shared = settings.maps, settings.levels - HEAD_LEVELS
        stages = range(self.shared + 1, settings.levels + 1)
        self.mlo_up = nn.ModuleList(EqualizedConvolution(maps(s - 1), maps(s), resample="up") for s in stages)
        self.mlo_convolution = nn.ModuleList(EqualizedConvolution(maps(s), maps(s)) for s in stages)
        for s in stages:
            self.to_gray[s - 1] = ToGray(maps(s), 1)
        self.mlo_to_gray = nn.ModuleList(ToGray(maps(s), 1) for s in stages)

    def start(self, latents: Tensor, codes: Tensor) -> Tensor:
        """As ``Generator.start``, the same for both views."""
        codes = codes.clone()
        codes[:, VIEW] = 0
        return super().start(latents, codes)

    def draw(self, x: Tensor, level: int, alpha: Tensor | float = 1.0, fading: bool = False) -> Tensor:
        """As ``Generator.draw``, with two channels."""
        if level <= self.shared:
            return super().draw(x, level, alpha, fading)
        for stage in range(2, self.shared + 1):
            x = self.grow(x, stage, self.up[stage - 2], self.convolution[stage - 2])
        pictures, below = self._heads(x, level)
        if fading:
            pictures = blend(doubled(below), pictures, alpha)
        return pictures.to(torch.promote_types(pictures.dtype, torch.float32))

    def _heads(self, trunk: Tensor, level: int) -> tuple[Tensor, Tensor]:
        """Pictures of a level above the trunk's, and of the level below it."""
        own = self.up[self.shared - 1 :], self.convolution[self.shared - 1 :], self.to_gray[self.shared :]
        pairs, belows = [], []
        for up, convolution, to_gray in (own, (self.mlo_up, self.mlo_convolution, self.mlo_to_gray)):
            x = before = trunk
            for index in range(level - self.shared):
                before, x = x, self.grow(x, self.shared + 1 + index, up[index], convolution[index])
            pairs.append(to_gray[level - self.shared - 1](x))
            if level - 1 > self.shared:
                belows.append(to_gray[level - self.shared - 2](before))
        below = torch.cat(belows, dim=1) if belows else self.to_gray[self.shared - 1](trunk)
        return torch.cat(pairs, dim=1), below


class TwoViewCritic(Critic):
    """Scores of pairs: each view's own under its view's code, and one more from the features of both.

    The sum of the three is a pair's score. A single picture (n, 1, rows, columns) has its view's score alone.
    """

    def __init__(self, settings: PGANSettings) -> None:
        super().__init__(settings)
        self.join = EqualizedLinear(2 * settings.maps(1), settings.maps(1))
        self.pair = EqualizedLinear(settings.maps(1), 1, gain=1.0)

    def forward(
        self,
        pictures: Tensor,
        codes: Tensor,
        level: int,
        alpha: Tensor | float = 1.0,
        fading: bool = False,
        alone: bool = False,
    ) -> Tensor:
        """As ``Critic.forward``, of pairs or of single pictures; of pairs the codes' view does not count."""
        if pictures.shape[1] == 1:
            return super().forward(pictures, codes, level, alpha, fading, alone)
        trunk = self.trunk(one_channel(pictures), level, alpha, fading)
        deviation = self.usual_stddev.expand(len(trunk)) if alone else self._stddev(trunk)
        views = codes.repeat(2, 1)
        views[:, VIEW] = torch.arange(2, device=codes.device).repeat_interleave(len(codes)).to(codes.dtype)
        x = self.features(trunk, deviation)
        cc, mlo = self.judge(x, views).chunk(2)
        together = activate(self.join(torch.cat(x.chunk(2), dim=1)))
        return cc + mlo + self.pair(together).to(x.dtype).squeeze(1)

    def _stddev(self, trunk: Tensor) -> Tensor:
        """The minibatch statistic within each view."""
        return torch.cat([minibatch_stddev(view) for view in trunk.chunk(2)])

    def stddev_of(self, pictures: Tensor, level: int) -> Tensor:
        """As ``Critic.stddev_of``; of pairs, (2n,)."""
        if pictures.shape[1] == 1:
            return super().stddev_of(pictures, level)
        return self._stddev(self.trunk(one_channel(pictures), level, 1.0, False))


def one_channel(pairs: Tensor) -> Tensor:
    """Pairs (n, 2, h, w) as pictures (2n, 1, h, w): all CC, then all MLO."""
    return torch.cat(pairs.split(1, dim=1))
