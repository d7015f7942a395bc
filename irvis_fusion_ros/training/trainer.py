"""
The training loop: stages, steps, moving average, validation, checkpoints.

A step depends only on the state in the checkpoint and on its own number, which seeds its batch and all random
numbers of the network. A run that was killed and resumed writes the same curve as an uninterrupted one on the
same machine.
"""

import copy
import math
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.geometry import tensors
from irvis_fusion_ros.io import weights
from irvis_fusion_ros.training import checkpoint
from irvis_fusion_ros.training.checkpoint import Checkpoint
from irvis_fusion_ros.training.config import TrainConfig, plain
from irvis_fusion_ros.training.curves import Curves
from irvis_fusion_ros.training.data.batches import PairSource
from irvis_fusion_ros.training.losses import basic
from irvis_fusion_ros.training.recipes.base import Batch, Recipe, Stage

# Steps in a row without a finite gradient after which a run has failed.
MOST_SKIPPED = 20
# The learning rate at the end of a stage, as a share of its peak.
LAST_LR = 0.01
# Seconds between two drawings of the curves.
DRAW_EVERY = 60


class Trainer:
    """
    Trains one system in one folder.

    folder: where checkpoint.pt, curve.csv, curve.png and SYSTEM.safetensors are written; an existing
    checkpoint is resumed. data: a fingerprint of the training set. changed: resume although options or data
    differ from those that the run was started with. start: the initial state of the network. Raises FileError
    if the folder holds the run of another system, or of another configuration.
    """

    def __init__(
        self,
        system: str,
        recipe: Recipe,
        config: TrainConfig,
        sources: tuple[PairSource, PairSource | None],
        folder: Path,
        device: str,
        data: int = 0,
        changed: bool = False,
        start: dict[str, Tensor] | None = None,
    ):
        self._system = system
        self._recipe = recipe
        self._config = config
        self._source, self._validation = sources
        self._folder = folder
        self._device = torch.device(device)
        # the path of the data and the interval of checkpoints do not change the curve
        own = {key: value for key, value in plain(config).items() if key not in ('accept', 'save_every')}
        self._identity = {**own, 'data': data, 'recipe': plain(recipe.config)}
        self._stages = recipe.stages()
        self.steps = sum(stage.steps for stage in self._stages)
        self.step = 0
        self._sums: dict[str, list[float]] = {}
        self._skipped = 0
        self._drawn = time.monotonic()
        self._optimiser: torch.optim.Optimizer | None = None
        self._seed_step(-1)
        self.model = recipe.build().to(self._device)
        if start is not None:
            self._begin_with(start)
        self.averaged = copy.deepcopy(self.model).requires_grad_(False).eval()
        if self._checkpoint.exists():
            self._resume(changed)
        self._curves = Curves(folder / 'curve.csv', self.step)

    @property
    def parameters(self) -> int:
        """Return the number of parameters of the network."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def _begin_with(self, state: dict[str, Tensor]) -> None:
        # files of weights hold what inference needs; what only training uses begins untrained
        network = self._recipe.runs(self.model)
        added = {
            name: value
            for name, value in network.state_dict().items()
            if name not in state and any(part in name for part in self._recipe.added)
        }
        try:
            network.load_state_dict(state | added)
        except RuntimeError as error:
            raise FileError(
                f'--start: weights of another network ({" ".join(str(error).split())[:200]})'
            ) from error

    def run(self, stop: Callable[[], bool], progress: bool = True) -> bool:
        """
        Train until the last step, or until `stop` returns True after a step; return whether it was the last.

        Either way everything is saved. Raises FileError if that fails, or if the loss is no longer finite.
        """
        try:
            with tqdm(
                total=self.steps, initial=self.step, unit='step', desc=self._system, disable=not progress
            ) as bar:
                while self.step < self.steps:
                    stage, _ = self._stage()
                    loss = self._one_step()
                    bar.update()
                    bar.set_postfix_str(f'{stage.name}, loss {loss:.4g}', refresh=False)
                    if stop():
                        break
                    if self.step % self._config.save_every == 0:
                        self.save()
        finally:
            # also after a failed validation or a full disk, so that no progress is lost
            if self.step:
                self.save()
        return self.step == self.steps

    def save(self) -> None:
        """Write checkpoint, curves and the averaged weights."""
        state = Checkpoint(
            self._system,
            self._identity,
            self.step,
            self.model.state_dict(),
            self.averaged.state_dict(),
            None if self._optimiser is None else self._optimiser.state_dict(),
            self._sums,
            self._skipped,
        )
        # the checkpoint last: resuming drops points beyond it, while missing points would be lost
        self._curves.save()
        if time.monotonic() - self._drawn > DRAW_EVERY:
            self.draw()
        path = self._folder / f'{self._system}{weights.SUFFIX}'
        learned = self._recipe.runs(self.averaged).state_dict()
        weights.save(path, self._system, plain(self._recipe.config), learned)
        checkpoint.save(self._checkpoint, state)

    def draw(self) -> None:
        """Draw the curves."""
        self._curves.draw(self._folder / 'curve.png')
        self._drawn = time.monotonic()

    @property
    def _checkpoint(self) -> Path:
        return self._folder / 'checkpoint.pt'

    def _resume(self, changed: bool) -> None:
        state = checkpoint.load(self._checkpoint, self._system)
        different = _differences(state.config, self._identity)
        if different and not changed:
            raise FileError(
                f'{self._checkpoint}: the run was started with {"; ".join(different)}. Take the same '
                'configuration and data, choose another --out, or go on all the same with --changed'
            )
        try:
            self.model.load_state_dict(state.model)
            self.averaged.load_state_dict(state.averaged)
        except RuntimeError as error:
            raise FileError(
                f'{self._checkpoint}: the network was another one then ({str(error).splitlines()[0]}); '
                'choose another --out'
            ) from error
        self.step, self._sums, self._skipped = min(state.step, self.steps), state.sums, state.skipped
        if state.optimiser is not None and self.step < self.steps and self._stage()[1] > 0:
            self._enter(self._stage()[0])
            self._optimiser.load_state_dict(state.optimiser)

    def _stage(self) -> tuple[Stage, int]:
        """Return the stage of the next step, and the number of the step within it."""
        first = 0
        for stage in self._stages:
            if self.step < first + stage.steps:
                return stage, self.step - first
            first += stage.steps
        raise IndexError('the run is over')

    def _enter(self, stage: Stage) -> None:
        """Make exactly the parameters of a stage trainable."""
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(name.startswith(stage.trains))
        learning = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        if not learning:
            raise ValueError(f"stage '{stage.name}' trains {stage.trains}: no parameter has such a name")
        self._optimiser = torch.optim.AdamW(learning, stage.lr, weight_decay=self._config.weight_decay)

    def _one_step(self) -> float:
        stage, within = self._stage()
        if within == 0 or self._optimiser is None:
            self._enter(stage)
        for group in self._optimiser.param_groups:
            group['lr'] = stage.lr * _schedule(within, stage)
        self._seed_step(self.step)
        self.model.train()
        self._recipe.before_step(self.model, stage, within)
        terms = self._losses(self.model, self._batch(self._source, self.step, stage), stage)
        total = sum(terms.values())
        self._optimiser.zero_grad(set_to_none=True)
        total.backward()
        learning = self._optimiser.param_groups[0]['params']
        norm = float(nn.utils.clip_grad_norm_(learning, self._config.clip))
        loss = float(total.detach())
        if math.isfinite(norm) and math.isfinite(loss):
            self._optimiser.step()
            self._average()
            self._skipped = 0
            for name, value in {**terms, 'total': total}.items():
                record = self._sums.setdefault(f'train/{name}', [0.0, 0])
                record[0] += float(value.detach())
                record[1] += 1
        else:
            self._skip(stage, terms)
        self.step += 1
        self._report(stage, within)
        if within + 1 == stage.steps:
            self._optimiser = None
        return loss

    def _skip(self, stage: Stage, terms: dict[str, Tensor]) -> None:
        self._skipped += 1
        if self._skipped >= MOST_SKIPPED:
            values = ', '.join(f'{name} {float(value.detach()):.3g}' for name, value in terms.items())
            raise FileError(
                f"stage '{stage.name}', step {self.step}: no finite gradient in {MOST_SKIPPED} steps "
                f'({values}); lower the learning rate or look for a division in the loss'
            )

    def _report(self, stage: Stage, within: int) -> None:
        last = within + 1 == stage.steps
        if (self.step % self._config.log_every == 0 or last) and self._sums:
            means = {name: total / count for name, (total, count) in self._sums.items()}
            self._curves.add(self.step, stage.name, means)
            self._sums = {}
        if self._validation is not None and (self.step % self._config.validate_every == 0 or last):
            self._curves.add(self.step, stage.name, self._validate(stage, within))

    @torch.no_grad()
    def _average(self) -> None:
        # a low decay at the beginning, or the average would contain the untrained network for a thousand
        # steps
        kept = min(self._config.ema, (1 + self.step) / (10 + self.step))
        learned = self.model.state_dict()
        for name, value in self.averaged.state_dict().items():
            if value.is_floating_point():
                value.lerp_(learned[name], 1 - kept)
            else:
                value.copy_(learned[name])

    @torch.no_grad()
    def _validate(self, stage: Stage, within: int) -> dict[str, float]:
        sums: dict[str, float] = {}
        batches = self._config.validation_batches
        self._recipe.before_step(self.averaged, stage, within)
        for index in range(batches):
            self._seed_step(index)
            batch = self._batch(self._validation, index, stage)
            found = {name: float(value) for name, value in self._losses(self.averaged, batch, stage).items()}
            found |= self._recipe.measures(self.averaged, batch, stage)
            field = self._recipe.deformation(self.averaged, batch, stage)
            if field is not None:
                found |= _registered(field, batch)
            for name, value in found.items():
                sums[f'val/{name}'] = sums.get(f'val/{name}', 0.0) + value / batches
        return sums

    def _batch(self, source: PairSource, index: int, stage: Stage) -> Batch:
        config = self._config
        crop = stage.crop or (config.height, config.width)
        mixture = plain(config.mixture) if stage.mixture is None else stage.mixture
        return source.batch(index, stage.batch or config.batch, crop, mixture)

    def _losses(self, model: nn.Module, batch: Batch, stage: Stage) -> dict[str, Tensor]:
        with self._precision():
            return self._recipe.losses(model, batch, stage)

    def _precision(self) -> torch.autocast:
        half = self._config.precision == 'half'
        half = half or (self._config.precision == 'auto' and self._device.type == 'cuda')
        return torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=half)

    def _seed_step(self, step: int) -> None:
        torch.manual_seed(zlib.crc32(f'{self._config.seed}/{step}'.encode()))


def _schedule(step: int, stage: Stage) -> float:
    """Return the factor of the learning rate: warm-up, then a cosine from 1 to LAST_LR."""
    rising = min(1.0, (step + 1) / max(1, min(stage.warm_up, stage.steps // 4)))
    falling = (1 + math.cos(math.pi * step / stage.steps)) / 2
    return rising * (LAST_LR + (1 - LAST_LR) * falling)


def _registered(field: Tensor, batch: Batch) -> dict[str, float]:
    """Return the error of a field in pixels, that of no motion, and how alike both thermal images are."""
    registered = tensors.warp(batch.moved, field, 'zeros')
    apart = (registered - batch.thermal) ** 2
    return {
        'endpoint_error': _endpoint_error(field, batch),
        'identity_error': _endpoint_error(torch.zeros_like(batch.truth), batch),
        'ncc': 1 - float(basic.masked_ncc(registered, batch.thermal)),
        'mse': float(apart.mean()),
        'mncc': 1 - float(basic.masked_ncc(registered, batch.thermal, batch.shown)),
        'mmse': float((apart * batch.shown).sum() / batch.shown.sum().clamp(min=1)),
    }


def _endpoint_error(field: Tensor, batch: Batch) -> float:
    error = (field - batch.truth).norm(dim=-1)[:, None] * batch.shown
    return float(error.sum() / batch.shown.sum().clamp(min=1))


def _differences(old: dict, new: dict, prefix: str = '') -> list[str]:
    """Return the options that differ, as 'KEY OLD, not NEW'."""
    found = []
    for key in dict.fromkeys([*old, *new]):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            found += _differences(before, after, f'{prefix}{key}.')
        elif before != after:
            found.append(f'{prefix}{key} {before}, not {after}')
    return found
