"""One typed settings class a topic: flags, recipe keys and defaults all come from here.

`--kd-weight` on the command line is `kd_weight` in a recipe, in the manifest and in JSON. A
command takes one or more of these classes; a recipe has a section per command with the same keys.
"""

from compress.settings.augmenting import Augmenting
from compress.settings.bench import Bench
from compress.settings.export import Export
from compress.settings.keeping import Keeping
from compress.settings.network import Network
from compress.settings.run import Resize, Run, Splitting
from compress.settings.searching import Searching
from compress.settings.teachers import Teachers
from compress.settings.teaching import Teaching
from compress.settings.training import Training
from compress.settings.tuning import Tuning

__all__ = [
    "Augmenting",
    "Bench",
    "Export",
    "Keeping",
    "Network",
    "Resize",
    "Run",
    "Searching",
    "Splitting",
    "Teachers",
    "Teaching",
    "Training",
    "Tuning",
]
