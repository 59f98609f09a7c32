"""Whether a named run can be gone on with, before anything is started."""

from tagger.config import Config
from tagger.errors import BadInput
from tagger.storage import open_root
from tagger.tag.history import RunFacts, find_run
from tagger.tag.runs import canonical_digest, load_state
from tagger.tag.serving import Serving, answer_settings


def resumable(config: Config, run_id: str) -> RunFacts:
    """The run, if any job can go on with it. BadInput where it is finished, given up or not known."""
    run = find_run(open_root(config.root), run_id)
    if run.status == "committed":
        raise BadInput(f"Run {run_id} is committed: nothing of it is left to do. tagger tag tags what is new.")
    if run.status not in ("unfinished", "committing"):
        again = f"tagger tag date={run.date} begins another run for what is new."
        raise BadInput(f"Run {run_id} cannot be resumed: its status is '{run.status}'. {again}")
    return run


def config_to_resume(config: Config, run: RunFacts, serving: Serving) -> Config:
    """The configuration of a nightly run that goes on with this one. BadInput where model or settings are others."""
    begun = load_state(open_root(config.root), run.run_id).identity
    if (begun.model_name, begun.model_version) != (serving.name, serving.version):
        raise BadInput(
            f"Run {run.run_id} was begun with model {begun.model_name} version {begun.model_version}, and "
            f"{config.model} is {serving.name} version {serving.version}: name the same model, or abort the run."
        )
    if begun.config_digest != canonical_digest(answer_settings(config, serving.fit)):
        raise BadInput(
            f"Run {run.run_id} was begun with other settings (tag.engine, tag.decode_wall_s, tag.decode_memory_mb or "
            "tag.max_file_mb): give those of its start, or abort the run."
        )
    return config.model_copy(update={"date": run.date})
