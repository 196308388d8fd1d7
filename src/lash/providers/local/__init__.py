"""A real model on this machine, without a network: a file, a server in a child process, an adapter."""

from lash.providers.local.files import fetch_smollm2, model_directory
from lash.providers.local.model import LocalModel

__all__ = ["LocalModel", "fetch_smollm2", "model_directory"]
