"""All that the commands load, once for the processes that are forked from here; no thread is started by it."""

from importlib import import_module

for name in (
    *("cmr_planes.cli.annotate", "cmr_planes.cli.extract", "cmr_train.cli.pretext", "cmr_train.recipes.pretext"),
    *("scipy.ndimage", "scipy.spatial"),  # where a network is scored
):
    import_module(name)
