"""Two objects in a relation, drawn from a prompt by a diffusion transformer, with or without places in its text.

The smallest version of arXiv:2601.06338: frozen codes of words, attention to them, and images of one-cell objects. What
is drawn is scored for shapes, binding and relation; copies of training images are counted.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch.func import functional_call

from bumplab.diffusion.analytic import timestep_at
from bumplab.diffusion.process import Diffusion
from bumplab.diffusion.prompt_posteriors import prompt_mean
from bumplab.models.dit import DiT
from bumplab.models.text_codes import TextEncoder
from bumplab.toys.settings import StackLoss, ToySettings, Weights
from bumplab.training.step import over_stack
from bumplab.worlds.prompts import COLOURS, SHAPES, Prompt, tokenize
from bumplab.worlds.relations import RelationWorld

#: Images of each prompt that a measurement draws, and in how many steps of DDIM.
_IMAGES_PER_PROMPT, _STEPS = 2, 20
#: Where a measurement puts a word that training never shows: before the second object, where it shifts two words, or
#: after the last word, where it shifts none.
FILLER_PLACES = {"middle": 3, "end": 5}
#: Noise over signal at which the error on fresh scenes is measured, on so many of them.
_SIGMAS, _FRESH = (0.9, 1.4, 2.0), 96
_CHANNELS = len(COLOURS) + len(SHAPES)


class RelationSettings(ToySettings):
    """A diffusion transformer that draws what prompts say.

    Attributes
    ----------
    world : RelationWorld
    text : TextEncoder
        Frozen; it decides whether the order of words is heard.
    num_train : int
        Training images, each with its prompt.
    data_seed : int
        Of these.
    width, depth, heads : int
        Of the transformer.
    positions : {"sinusoidal", "none"}
        Of the cells of the image.
    diffusion : Diffusion

    Examples
    --------
    >>> settings = RelationSettings(num_train=20, width=8, heads=2, depth=1)
    >>> sorted(settings.measure(settings.init_weights()))
    ['end', 'middle', 'samples', 'test']
    >>> RelationSettings(width=6)
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: The width of a DiT is a multiple of 4, got 6.
    """

    family: ClassVar[str] = "relations"
    trainer_version: ClassVar[int] = 1
    stackable: ClassVar[frozenset[str]] = frozenset({"seed", "data_seed"})
    stop_measure: ClassVar[str] = "test.error"

    batch: Annotated[int, Field(ge=0, le=1_000_000)] = 64
    steps: Annotated[int, Field(ge=1, le=10_000_000)] = 4000
    order: Literal["cycle", "random"] = "random"
    world: RelationWorld = RelationWorld(size=4)
    text: TextEncoder = TextEncoder(width=32)
    num_train: Annotated[int, Field(ge=1, le=200_000)] = 10_000
    data_seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    width: Annotated[int, Field(ge=4, le=1024)] = 32
    depth: Annotated[int, Field(ge=1, le=12)] = 2
    heads: Annotated[int, Field(ge=1, le=64)] = 4
    positions: Literal["sinusoidal", "none"] = "sinusoidal"
    diffusion: Diffusion = Diffusion().replace(schedule="cosine", prediction_type="v")

    @model_validator(mode="after")
    def _check_fit(self) -> Self:
        self.network()
        return self

    def network(self, device: torch.device | str = "cpu") -> DiT:
        """Return such a network; its own weights are nobody's.

        Examples
        --------
        >>> RelationSettings().network().text_width
        32
        """
        return _network(
            0, self.world.size, self.text.width, self.width, self.depth, self.heads, self.positions, str(device)
        )

    def init_weights(self) -> dict[str, torch.Tensor]:
        """Return the weights before the first step."""
        model = _new_network(
            self.seed, self.world.size, self.text.width, self.width, self.depth, self.heads, self.positions
        )
        return {name: value.detach().clone() for name, value in model.named_parameters()}

    def training_scenes(self) -> tuple[list[Prompt], torch.Tensor]:
        """Return prompts and images of training.

        Examples
        --------
        >>> RelationSettings(num_train=10).training_scenes()[1].shape
        torch.Size([10, 5, 4, 4])
        """
        return self.world.draw_scenes(self.num_train, self.data_seed)

    def encode(self, texts: Sequence[str]) -> torch.Tensor:
        """Return what is heard of texts with as many words each, (n, words, text.width).

        Examples
        --------
        >>> RelationSettings().encode(["red disc left of blue ring"]).shape
        torch.Size([1, 6, 32])
        """
        return self.text(torch.stack([tokenize(text) for text in texts]))

    def samples(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return training images (n, 5, size, size), and what is heard of their prompts (n, 5, text.width)."""
        prompts, images = self.training_scenes()
        places = {prompt: k for k, prompt in enumerate(self.world.prompts())}
        codes = self.encode([str(prompt) for prompt in self.world.prompts()])
        return images, codes[[places[prompt] for prompt in prompts]]

    @classmethod
    def stack_loss(cls, members: Sequence[Self], device: torch.device) -> StackLoss:
        """Return the losses of a stack; each network draws timesteps and noise of its own."""
        first = members[0]
        model, diffusion = first.network(device), first.diffusion

        def one(weights: Weights, target: torch.Tensor, *inputs: torch.Tensor) -> torch.Tensor:
            return (functional_call(model, dict(weights), inputs) - target).square().mean()

        mapped = over_stack(one)

        def loss(
            weights: Weights, batch: tuple[torch.Tensor, ...], generators: Sequence[torch.Generator]
        ) -> torch.Tensor:
            images, text = batch
            draws = [
                diffusion.sample_timesteps_and_noise(own, each) for own, each in zip(images, generators, strict=True)
            ]
            t, eps = (torch.stack(part) for part in zip(*draws, strict=True))
            flat = images.flatten(0, 1), eps.flatten(0, 1), t.flatten()
            x, target = (each(*flat).view_as(images) for each in (diffusion.add_noise, diffusion.target))
            return mapped(weights, target, x, t, text)

        return loss

    def draw(self, weights: Weights, texts: Sequence[str], seed: int, steps: int = _STEPS) -> torch.Tensor:
        """Return an image for each text, all of as many words, (n, 5, size, size), by the book's sampler.

        Examples
        --------
        >>> settings = RelationSettings()
        >>> settings.draw(settings.init_weights(), ["the red disc left of blue ring"], seed=0).shape
        torch.Size([1, 5, 4, 4])
        """
        return self.draw_codes(weights, self.encode(texts), seed, steps)

    def draw_codes(
        self, weights: Weights, codes: torch.Tensor, seed: int, steps: int = _STEPS, model: DiT | None = None
    ) -> torch.Tensor:
        """Return an image for each text that is heard as these codes (n, words, text.width), (n, 5, size, size).

        Parameters
        ----------
        weights : mapping of str to torch.Tensor
        codes : torch.Tensor, (n, words, text.width)
        seed : int
            Of the noise.
        steps : int
            Of DDIM.
        model : DiT, optional
            Such a network with hooks, in the place of :meth:`network`; its own weights are not used.

        Examples
        --------
        >>> settings = RelationSettings()
        >>> settings.draw_codes(settings.init_weights(), torch.zeros(2, 5, 32), seed=0, steps=2).shape
        torch.Size([2, 5, 4, 4])
        """
        body, side = model or self.network(), self.world.size
        noise = torch.randn(len(codes), _CHANNELS, side, side, generator=torch.Generator().manual_seed(seed))

        def network(x: torch.Tensor, t: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
            return functional_call(body, dict(weights), (x, t, text))

        return self.diffusion.sample(network, codes, side, steps, noise=noise)

    def measure(self, weights: Weights) -> dict[str, dict[str, float]]:
        """Return what images of all prompts show, and the error on fresh scenes.

        Of ``samples``: the shares with two whole ``objects``, with the two ``shapes`` asked for, with shapes of the
        right colours (``binding``), with colours in the right ``relation``, by the strict and by the ``loose`` rule,
        with ``all`` right; of ``copies`` of training images, and their ``excess`` over what whole scenes would hold of
        them by chance. New noise each time: the weights make its seed. Of ``middle`` and ``end``: the scores where a
        word that training never shows stands there, see :data:`FILLER_PLACES`, an image a prompt. Of ``test``: squared
        ``error`` of a clean number, over three levels of noise.
        """
        prompts = [each for each in self.world.prompts() for _ in range(_IMAGES_PER_PROMPT)]
        seed = zlib.crc32(weights["time.0.bias"].numpy().tobytes()) + self.seed
        images = self.draw(weights, [str(each) for each in prompts], seed)
        found, score = self.world.find_objects(images)[:, :, 0], self.world.score(images, prompts)
        wanted = torch.tensor([[SHAPES.index(each.shape), SHAPES.index(each.other_shape)] for each in prompts])
        seen = {each.numpy().tobytes() for each in self.training_scenes()[1] > 0}
        shares = {
            "objects": found[:, 0] >= 0,
            "shapes": (found.sort(1).values == wanted.sort(1).values).all(1),
            **score,
            "copies": torch.tensor([each.numpy().tobytes() in seen for each in images > 0]),
        }
        samples = {name: float(each.float().mean()) for name, each in shares.items()}
        samples["excess"] = samples["copies"] - samples["objects"] * len(seen) / self.world.num_scenes
        return {
            "samples": samples,
            **{name: self._filler_scores(weights, place, seed) for name, place in FILLER_PLACES.items()},
            "test": {"error": self._fresh_error(weights)},
        }

    def _filler_scores(self, weights: Weights, place: int, seed: int) -> dict[str, float]:
        prompts = self.world.prompts()
        texts = [put_filler(each, place) for each in prompts]
        score = self.world.score(self.draw(weights, texts, seed), prompts)
        return {name: float(each.float().mean()) for name, each in score.items()}

    def best_error(self, knowledge: str) -> float:
        """Return what the ``error`` of :meth:`measure` is for the best denoiser of one who knows so much of a prompt.

        Parameters
        ----------
        knowledge : str
            One of :data:`~bumplab.diffusion.prompt_posteriors.KNOWLEDGE`; ``"words"`` where no order is heard.

        Examples
        --------
        >>> settings = RelationSettings(world={"size": 2})
        >>> settings.best_error("prompt") < settings.best_error("words") < settings.best_error("nothing")
        True
        """
        prompts, images, eps = self._fresh_scenes()
        total = 0.0
        for k, sigma in enumerate(_SIGMAS):
            rows = slice(k * _FRESH, (k + 1) * _FRESH)
            clean = images[rows].flatten(1)
            mean = prompt_mean(self.world, prompts[rows], clean + sigma * eps[rows].flatten(1), sigma, knowledge)
            total += float((mean - clean).square().mean()) / len(_SIGMAS)
        return total

    def _fresh_scenes(self) -> tuple[list[Prompt], torch.Tensor, torch.Tensor]:
        prompts, images = self.world.draw_scenes(_FRESH * len(_SIGMAS), self.data_seed + 2**31)
        return prompts, images, torch.randn(images.shape, generator=torch.Generator().manual_seed(2601))

    def _fresh_error(self, weights: Weights) -> float:
        prompts, images, eps = self._fresh_scenes()
        t = timestep_at(self.diffusion, torch.tensor(_SIGMAS)).repeat_interleave(_FRESH)
        x, text = self.diffusion.add_noise(images, eps, t), self.encode([str(each) for each in prompts])
        with torch.no_grad():
            output = functional_call(self.network(), dict(weights), (x, t, text))
        x0, _ = self.diffusion.to_x0_and_eps(output, x, t)
        return float((x0.clamp(-1, 1) - images).square().mean())


def put_filler(prompt: Prompt, place: int, filler: str = "the") -> str:
    """Return a prompt as text with one more word in it, before the word of that place.

    Examples
    --------
    >>> from bumplab.worlds.prompts import parse_prompt
    >>> put_filler(parse_prompt("red disc left of blue ring"), FILLER_PLACES["middle"])
    'red disc left the blue ring'
    """
    words = prompt.words()
    return " ".join((*words[:place], filler, *words[place:]))


def _new_network(
    seed: int, size: int, text: int, width: int, depth: int, heads: int, positions: Literal["sinusoidal", "none"]
) -> DiT:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DiT(size, _CHANNELS, 1, width, depth, heads, positions, text)


@lru_cache(maxsize=32)
def _network(
    seed: int, size: int, text: int, width: int, depth: int, heads: int,
    positions: Literal["sinusoidal", "none"], device: str,
) -> DiT:  # fmt: skip
    return _new_network(seed, size, text, width, depth, heads, positions).to(device)
