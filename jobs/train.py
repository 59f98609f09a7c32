"""Ray job: labels -> both networks -> measured, promoted bundle. Arguments as `tagger train --help` tells."""

import sys

from tagger.cli import job

job(["train", *sys.argv[1:]])
