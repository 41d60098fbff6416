from . import (
    analysis as analysis,
    chapters as chapters,
    cli as cli,
    common as common,
    diffusion as diffusion,
    figures as figures,
    models as models,
    percolation as percolation,
    runs as runs,
    toys as toys,
    training as training,
    worlds as worlds,
)
from .analysis.accuracy import Evaluation as Evaluation
from .common.errors import BumplabError as BumplabError
from .common.files import book_folder as book_folder
from .diffusion.process import Diffusion as Diffusion
from .models.unet import UNet as UNet
from .runs.run import Run as Run
from .runs.store import load_or_train as load_or_train
from .training.settings import Settings as Settings, preset as preset
from .worlds.bumps import BumpWorld as BumpWorld

__version__: str
