"""The models, as tensors in and tensors out; CPython 3.6 and torch 1.10 can run this folder.

Contents: vae.py (VAE: unconditional, conditional; dense, convolutional), realnvp.py (RealNVP), gan.py (GAN: the
generator of one, and the discriminator that belongs to its training).
``build`` makes a model from what a checkpoint or a bundle stores: a class name and its arguments.
"""

import inspect

from .gan import GAN
from .realnvp import RealNVP
from .vae import VAE

MODELS = {"VAE": VAE, "RealNVP": RealNVP, "GAN": GAN}


def build(name, arguments):
    """Class name and constructor arguments (a dict of JSON values) -> an untrained model.

    Raises ValueError for a class that is not in MODELS or arguments that it does not take.
    """
    if name not in MODELS:
        raise ValueError("model class is '{}', expected one of {}".format(name, ", ".join(sorted(MODELS))))
    taken = inspect.signature(MODELS[name]).parameters
    for argument in sorted(arguments):
        if argument not in taken:
            raise ValueError("arguments of {}: no '{}', expected some of {}".format(name, argument, ", ".join(taken)))
    try:
        return MODELS[name](**arguments)
    except TypeError as error:
        raise ValueError("arguments of {}: {}".format(name, error))
