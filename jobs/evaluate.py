"""Ray job: bundle x labels -> tables, page, gate. Arguments as `tagger evaluate --help` tells."""

import sys

from tagger.cli import job

job(["evaluate", *sys.argv[1:]])
