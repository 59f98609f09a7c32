"""Ray job: `export`: flagged items -> annotators. Arguments as `tagger review --help` tells."""

import sys

from tagger.cli import job

job(["review", *sys.argv[1:]])
