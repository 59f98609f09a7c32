"""Ray job: new photos of the night -> tags, rejects, run record. Arguments as `tagger tag --help` tells."""

import sys

from tagger.cli import job

job(["tag", *sys.argv[1:]])
