"""The contestants: ours and two libraries, each at its defaults and, step by step, closer to ours.

All see the same 1,024 images of bumps and the same labels, in batches of 64. A contestant knows how to take one
optimiser step and how to draw images with its library's own DDIM sampler and the averaged weights that its library's
recipe keeps. Defaults are those of denoising-diffusion-pytorch 2.3.4 (``classifier_free_guidance`` and ``Trainer``)
and of diffusers 0.42.1 with its example ``train_unconditional.py``.
"""

from __future__ import annotations

import copy
import importlib.machinery
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

import torch
from torch import nn

import bumplab
from bumplab.models.layers import sinusoidal_encoding
from bumplab.training.loop import training_steps
from bumplab.training.settings import preset
from bumplab.training.state import init_state, mean_target

QUICK = preset("quick")
WORLD = QUICK.world
BATCH = QUICK.training.batch
#: How every contestant draws: steps of its own library's DDIM, with the noise of ancestral sampling (eta = 1). That is
#: the default of denoising-diffusion-pytorch and what the example of diffusers does in 1,000 steps; the README tells
#: what other samplers drew.
SAMPLER_STEPS, ETA = 50, 1.0
#: The example of diffusers sets the length of training by hand. Ours stops at the target or at the cap, so the
#: cosine gets a length at which the learning rate hardly falls before that.
COSINE_STEPS = 50_000


def lattice_row(mu: torch.Tensor) -> torch.Tensor:
    """Return the rows (n,) of the world's lattice, the classes, that conditions `mu` (n, 2) stand in."""
    return (mu[:, 1] * len(WORLD.axis(0)) + mu[:, 0]).round().long()


def our_encoding(mu: torch.Tensor) -> torch.Tensor:
    """Return our encoding (n, 128) of conditions `mu` (n, 2), as long as the time embedding of the peer."""
    model = QUICK.model
    parts = [sinusoidal_encoding(mu[:, axis], model.encoding, model.mu_frequency, model.base) for axis in (0, 1)]
    return torch.cat(parts, dim=1)


def start_at_mean(layer: nn.Conv2d) -> None:
    """Make the last layer of a network that predicts x0 answer the mean image, as ours does before training."""
    nn.init.zeros_(layer.weight)
    nn.init.constant_(layer.bias, mean_target(QUICK))


class Ours:
    """Our trainer and network, preset quick but for some changes."""

    library = f"bumplab {bumplab.__version__}"

    def __init__(self, seed: int, **changes) -> None:
        endless = {"steps": 10_000_000}
        self.settings = QUICK.replace(seed=seed, training=endless, **changes)
        self.state = init_state(self.settings, "cpu", "fp32")
        self.steps = training_steps(self.state)
        self.parameters = self.state.model.size()

    def step(self) -> float:
        next(self.steps)
        loss = float(self.state.loss_sum)
        self.state.loss_sum.zero_()
        return loss

    def sample(self, mu: torch.Tensor) -> torch.Tensor:
        return self.settings.diffusion.sample(self.state.ema_model, mu, WORLD.size, SAMPLER_STEPS, ETA)


class Peer:
    """What the two libraries share: batches, one optimiser step, averaged weights.

    Subclasses set `model` and `optimizer` and define :meth:`loss`, :meth:`average` and :meth:`sample`. With `recipe`,
    the optimiser, its learning rate, the averaging and the start are those of preset quick.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler | None = None
    clip: float | None = 1.0  # both libraries' recipes clip the norm of the gradient

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        self.mu = WORLD.lattice()
        self.images = WORLD.render(self.mu)
        self.taken = 0

    def use_our_recipe(self, last: nn.Conv2d) -> None:
        """Take optimiser, warm-up, averaging and start from preset quick; call with the network's last layer."""
        start_at_mean(last)
        training, self.clip = QUICK.training, None
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay, fused=True
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: min(1.0, (step + 1) / training.warmup_steps)
        )
        self.averaged = copy.deepcopy(self.model).eval().requires_grad_(False)

    def average_as_ours(self) -> None:
        decay = min(QUICK.training.ema_decay, (1 + self.taken) / (10 + self.taken))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.averaged.parameters()), list(self.model.parameters()), 1 - decay)

    def step(self) -> float:
        pick = torch.randint(len(self.mu), (BATCH,))
        loss = self.loss(self.images[pick], pick)
        loss.backward()
        if self.clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimizer.step()
        if self.schedule:
            self.schedule.step()
        self.optimizer.zero_grad()
        self.average()
        self.taken += 1
        return loss.item()

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.model.parameters())

    def loss(self, images: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def average(self) -> None:
        raise NotImplementedError

    def sample(self, mu: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError


class DenoisingDiffusion(Peer):
    """``classifier_free_guidance.Unet`` and ``GaussianDiffusion`` with the recipe of the library's ``Trainer``."""

    def __init__(self, seed: int, x0: bool = False, recipe: bool = False) -> None:
        super().__init__(seed)
        guidance = _guidance()
        from ema_pytorch import EMA

        self.library = f"denoising-diffusion-pytorch {version('denoising-diffusion-pytorch')}"
        # By default half of the images go without their condition, for guidance; ours has no such half.
        drop = 0.0 if x0 else 0.5
        unet = guidance.Unet(16, len(self.mu), cond_drop_prob=drop, dim_mults=(1, 2, 4), channels=1)
        self.model = guidance.GaussianDiffusion(
            unet,
            image_size=WORLD.size,
            objective="pred_x0" if x0 else "pred_noise",
            sampling_timesteps=SAMPLER_STEPS,
            ddim_sampling_eta=ETA,
        )
        if x0:  # the library weights x0 by the ratio of signal to noise, which makes it eps again; ours has no weight
            self.model.loss_weight.fill_(1.0)
        self.recipe = recipe
        if recipe:
            self.use_our_recipe(unet.final_conv)
        else:
            self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-4, betas=(0.9, 0.99))
            self.ema = EMA(self.model, beta=0.995, update_every=10)

    def loss(self, images, rows):
        return self.model((images + 1) / 2, classes=rows)  # images in [0, 1]: it scales them itself

    def average(self):
        if self.recipe:
            self.average_as_ours()
        else:
            self.ema.update()

    def sample(self, mu):
        model = self.averaged if self.recipe else self.ema.ema_model
        return 2 * model.eval().sample(lattice_row(mu), cond_scale=1.0) - 1

    @property
    def parameters(self):
        return sum(p.numel() for p in self.model.model.parameters())


class Diffusers(Peer):
    """``UNet2DModel`` and ``DDPMScheduler`` with the recipe of the example ``train_unconditional.py``."""

    def __init__(self, seed: int, x0: bool = False, encoding: bool = False, recipe: bool = False) -> None:
        super().__init__(seed)
        from diffusers import DDIMScheduler, DDPMScheduler, UNet2DModel
        from diffusers.optimization import get_scheduler
        from diffusers.training_utils import EMAModel

        self.library = f"diffusers {version('diffusers')}"
        condition = {"class_embed_type": "identity"} if encoding else {"num_class_embeds": len(self.mu)}
        self.model = UNet2DModel(
            sample_size=WORLD.size, in_channels=1, out_channels=1, layers_per_block=1,
            block_out_channels=(32, 32, 32, 32), norm_num_groups=8,
            down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
            **condition,
        )  # fmt: skip
        self.labels = our_encoding(self.mu) if encoding else torch.arange(len(self.mu))
        self.noise = DDPMScheduler(num_train_timesteps=1000, prediction_type="sample" if x0 else "epsilon")
        # The default, "leading", would start the sampler at timestep 950 from noise that belongs to 999.
        self.sampler = DDIMScheduler.from_config(self.noise.config, timestep_spacing="trailing")
        self.sampler.set_timesteps(SAMPLER_STEPS)
        self.x0, self.recipe = x0, recipe
        if recipe:
            self.use_our_recipe(self.model.conv_out)
        else:
            self.optimizer = torch.optim.AdamW(
                self.model.parameters(), lr=1e-4, betas=(0.95, 0.999), weight_decay=1e-6, eps=1e-8
            )
            self.schedule = get_scheduler(
                "cosine", self.optimizer, num_warmup_steps=500, num_training_steps=COSINE_STEPS
            )
            self.ema = EMAModel(
                self.model.parameters(), decay=0.9999, use_ema_warmup=True, inv_gamma=1.0, power=0.75, foreach=True
            )

    def loss(self, images, rows):
        eps = torch.randn_like(images)
        t = torch.randint(1000, (len(images),))
        output = self.model(self.noise.add_noise(images, eps, t), t, self.labels[rows]).sample
        return nn.functional.mse_loss(output, images if self.x0 else eps)

    def average(self):
        if self.recipe:
            self.average_as_ours()
        else:
            self.ema.step(self.model.parameters())

    @torch.no_grad()
    def sample(self, mu):
        model = self.averaged if self.recipe else copy.deepcopy(self.model).eval()
        if not self.recipe:
            self.ema.copy_to(model.parameters())
        x, labels = torch.randn(len(mu), 1, WORLD.size, WORLD.size), self.labels[lattice_row(mu)]
        for t in self.sampler.timesteps:
            x = self.sampler.step(model(x, t, labels).sample, t, x, eta=ETA).prev_sample
        return x


def _guidance() -> types.ModuleType:
    """Import ``classifier_free_guidance`` of denoising-diffusion-pytorch 2.3.4, mended where it cannot run here.

    It needs torchvision for folders of image files alone, and there is no CPU build of torchvision beside the torch
    that this book pins: an empty module stands in. Its sampler cannot go without guidance, since the network then
    returns one of the two values that its caller unpacks. And it would draw a bar for every batch.
    """
    empty = types.ModuleType("torchvision")
    empty.__spec__ = importlib.machinery.ModuleSpec("torchvision", None)
    empty.transforms = empty.utils = None
    sys.modules.setdefault("torchvision", empty)
    from denoising_diffusion_pytorch import classifier_free_guidance as guidance

    def without_guidance(unet, *inputs, cond_scale, rescaled_phi):
        output = unet(*inputs, cond_drop_prob=0.0)
        return output, output

    guidance.Unet.forward_with_cond_scale = without_guidance
    guidance.tqdm = lambda items, **_: items
    return guidance


@dataclass(frozen=True)
class Contestant:
    """How to make a contestant, and in words what it has: objective, condition, optimiser."""

    make: Callable[[int], Ours | Peer]
    words: str


#: By name, from a library's defaults towards ours.
CONTESTANTS = {
    "ours-eps": Contestant(
        lambda seed: Ours(seed, diffusion={"prediction_type": "eps"}), "eps, otherwise preset quick"
    ),
    "ours-pixels": Contestant(lambda seed: Ours(seed, model={"patch": 1}), "preset quick on pixels, not 4 x 4 patches"),
    "ddp": Contestant(DenoisingDiffusion, "eps, classes"),
    "ddp-x0": Contestant(lambda seed: DenoisingDiffusion(seed, x0=True), "x0, classes"),
    "ddp-x0-recipe": Contestant(lambda seed: DenoisingDiffusion(seed, x0=True, recipe=True), "x0, classes, our recipe"),
    "diffusers": Contestant(Diffusers, "eps, classes"),
    "diffusers-x0": Contestant(lambda seed: Diffusers(seed, x0=True), "x0, classes"),
    "diffusers-encoding": Contestant(lambda seed: Diffusers(seed, encoding=True), "eps, our encoding"),
    "diffusers-x0-encoding": Contestant(lambda seed: Diffusers(seed, x0=True, encoding=True), "x0, our encoding"),
    "diffusers-x0-encoding-recipe": Contestant(
        lambda seed: Diffusers(seed, x0=True, encoding=True, recipe=True), "x0, our encoding, our recipe"
    ),
}
