"""Configuration: what is said of a wrong value, which value wins, and that every shipped file loads."""

import datetime as dt
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from tagger.arguments import prepare
from tagger.config import Config
from tagger.config_file import OVERRIDE, as_yaml, load_config
from tagger.errors import ConfigError

FOLDER = Path(__file__).parents[2] / "configs"
SHIPPED = [file for file in sorted(FOLDER.glob("*.yaml")) if "types" not in yaml.safe_load(file.read_text())]


@pytest.fixture
def file(tmp_path):
    """Writes a configuration file and names it."""

    def write(text):
        path = tmp_path / "shop.yaml"
        path.write_text(text)
        return str(path)

    return write


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_configuration_loads(path):
    load_config(str(path), ["root=s3://bucket/shop"])


def test_some_configurations_are_shipped():
    assert {"seed.yaml"} <= {path.name for path in SHIPPED}


def test_no_file_gives_the_defaults():
    assert load_config(None) == Config()


def test_an_empty_file_gives_the_defaults(file):
    assert load_config(file("")) == Config()


def test_overrides_win_over_the_file_and_later_ones_over_earlier(file):
    shop = file("train: {width: 0.5, seed: 3}")
    assert load_config(shop, ["train.width=1", "train.width=2"]).train.width == 2
    assert load_config(shop, ["train.width=1"]).train.seed == 3


def test_a_mapping_takes_the_place_of_the_one_before(file):
    path = file("train: {width: 0.5, sizes: {64: 0.5, 96: 0.25}}")
    assert load_config(path, ["train.sizes={96: 0.5}"]).train.sizes == {96: 0.5}
    emptied = load_config(path, ["train.sizes={}"]).train
    assert (emptied.sizes, emptied.width) == ({}, 0.5)


def test_an_interpolation_follows_the_override(file):
    assert load_config(file("root: a\nimages: ${root}/photos"), ["root=b"]).images == "b/photos"


def test_an_override_may_refer_to_other_keys_and_is_text_beside():
    assert load_config(None, ["root=shop", "images=${root}/sale #1"]).images == "shop/sale #1"
    with pytest.raises(ConfigError, match="The value of images is not readable: '\\$"):
        load_config(None, ["images=${root"])


def test_flags_take_their_value_to_the_letter():
    named = {"root": "/a: b", "images": "sale #1", "labels": "@x.csv", "model": "*x"}
    config, _ = prepare(None, [], **named)
    assert {name: getattr(config, name) for name in named} == named


def test_photos_come_from_one_source():
    with pytest.raises(ConfigError, match="keys_from and inventory"):
        load_config(None, ["tag.keys_from=a.txt", "tag.inventory=s3://b/2026/manifest.json"])


def test_a_value_may_come_from_the_environment(file, monkeypatch):
    monkeypatch.setenv("SHOP_ROOT", "s3://bucket/shop")
    assert load_config(file("root: ${oc.env:SHOP_ROOT}")).root == "s3://bucket/shop"


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("root=", None, "root", ""),
        ("date=2026-11-22", None, "date", dt.date(2026, 11, 22)),
        ("date=null", None, "date", None),
        ("model=s3://b/a=b", None, "model", "s3://b/a=b"),  # only the first = divides
        ("train.head=[64,32]", "train", "head", (64, 32)),
        ("train.version=3", "train", "version", "3"),
        ("train.sizes={64: 0.5}", "train", "sizes", {64: 0.5}),
        ("tag.since=2026-11-22T10:00:00Z", "tag", "since", dt.datetime(2026, 11, 22, 10, tzinfo=dt.UTC)),
        ("tag.prefix=images/", "tag", "prefix", "images/"),
        ("tag.prefix=07", "tag", "prefix", "07"),
        ("tag.prefix=1e3", "tag", "prefix", "1e3"),
        ('tag.prefix="2026"', "tag", "prefix", "2026"),
        ("tag.prefix='it''s null'", "tag", "prefix", "it's null"),
        ("tag.prefix='a' b'", "tag", "prefix", "'a' b'"),  # no quotes around the whole
        ("tag.prefix=sale #1/", "tag", "prefix", "sale #1/"),
        ("tag.prefix=%2Fshoes", "tag", "prefix", "%2Fshoes"),
        ("tag.prefix=@x", "tag", "prefix", "@x"),
        ("tag.prefix=*x", "tag", "prefix", "*x"),
        ("tag.prefix=[x]", "tag", "prefix", "[x]"),
        ("tag.prefix=true", "tag", "prefix", "true"),
        ("tag.prefix= x ", "tag", "prefix", " x "),
        ("root=/a: b", None, "root", "/a: b"),
        ("root=~/shop", None, "root", "~/shop"),
        ("train.version=1.10", "train", "version", "1.10"),
        ("review.out=null", "review", "out", None),
        ("review.out=a #b", "review", "out", "a #b"),
        ("tag.limit=1e3", "tag", "limit", 1000),
        ("review.minutes=45", "review", "minutes", 45),
        ("review.target_precision=0.9", "review", "target_precision", {"type": 0.9, "color": 0.9}),
        ("review.target_precision.color=0.9", "review", "target_precision", {"color": 0.9}),
        (
            "review.target_precision={type: 0.95, color: 0.9}",
            "review",
            "target_precision",
            {"type": 0.95, "color": 0.9},
        ),
        ("review.target_precision=null", "review", "target_precision", None),
    ],
)
def test_overrides_take_the_type_of_their_key(override, section, key, value):
    config = load_config(None, [override])
    assert getattr(getattr(config, section) if section else config, key) == value


@pytest.mark.parametrize(
    ("override", "allowed"),
    [
        ("tag.unit_size=0", "greater than or equal to 1"),
        ("tag.unit_size=abc", "valid integer"),
        ("tag.max_reject_share=1.5", "less than or equal to 1"),
        ("tag.retag=some", "'none', 'model', 'config' or 'all'"),
        ("train.learning_rate=.nan", "finite number"),
        ("date=tomorrow", "valid date"),
        ("focus.low=1.1", "less than or equal to 1"),
        ("focus.low=.inf", "finite number"),
        ("review.minutes=.inf", "finite number"),
        ("tag.outage_wait_s=.inf", "finite number"),
        ("train.cpus_per_worker=.inf", "finite number"),
        ("focus.least_mask_quality=2", "less than or equal to 1"),
        ("review.night_items=0", "greater than or equal to 1"),
        ("review.scope_share=1.5", "less than or equal to 1"),
        ("train=5", "valid dictionary"),
    ],
)
def test_a_refused_value_is_told_with_file_key_value_and_what_is_allowed(file, override, allowed):
    key, _, value = override.partition("=")
    shop = file("")
    with pytest.raises(ConfigError) as refused:
        load_config(shop, [override])
    message = str(refused.value)
    assert message.startswith(f"{shop}: {key} = ") and value.strip(".") in message and allowed in message


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("1.5", r"target_precision\.type = 1\.5 is not allowed: .* less than 1"),
        ("{color: 0}", r"target_precision\.color = 0 is not allowed: .* greater than 0"),
        ("{shape: 0.9}", r"'shape' is not allowed: .* 'type' or 'color'"),
        ("high", r"= 'high' is not allowed: .* valid number"),
        ("[0.9]", r"target_precision = \[0\.9\] is not allowed"),
    ],
)
def test_a_precision_that_cannot_be_promised_is_told(value, told):
    with pytest.raises(ConfigError, match=told):
        load_config(None, [f"review.target_precision={value}"])


@pytest.mark.parametrize(
    ("overrides", "share"),
    [
        ([], 0.1),
        (["review.budget=0.3"], 0.3),
        (["review.minutes=30"], 0.1),
        (["review.minutes=30", "review.night_items=1000"], 0.15),
        (["review.minutes=30", "review.night_items=1000", "review.seconds_per_item=6"], 0.3),
        (["review.minutes=30", "review.night_items=100"], 1.0),
    ],
)
def test_the_share_that_is_flagged_follows_from_minutes_and_items(overrides, share):
    assert load_config(None, overrides).review.flagged_share == pytest.approx(share)


def test_every_wrong_value_is_told_at_once(file):
    with pytest.raises(ConfigError, match=r"(?s)train\.width = 9.*tag\.retag = 'some'"):
        load_config(file("train: {width: 9}\ntag: {retag: some}"))


def test_an_unknown_key_is_told_with_the_nearest_one(file):
    with pytest.raises(ConfigError, match=r"shop\.yaml: there is no key 'tag\.unit_sise'\. Did you mean 'unit_size'\?"):
        load_config(file("tag: {unit_sise: 1}"))


def test_an_unknown_key_like_no_other_is_told_with_all_that_are_allowed():
    with pytest.raises(ConfigError, match="no key 'zzz'. Allowed here: root, images, labels, model, date"):
        load_config(None, ["zzz=1"])


def test_a_missing_file_is_told_with_those_that_are_there(file):
    shop = Path(file(""))
    with pytest.raises(ConfigError, match=r"no configuration file '.*absent\.yaml'\. There are: .*shop\.yaml"):
        load_config(str(shop.with_name("absent.yaml")))


@pytest.mark.parametrize("name", ["x" * 300, f"{'x' * 300}/shop.yaml"])
def test_a_file_whose_name_no_file_can_have_is_a_missing_one(name):
    with pytest.raises(ConfigError, match="no configuration file 'xxx"):
        load_config(name)


@pytest.mark.parametrize("text", ["a: [", "root: 'x", "\tx: 1", "root: a\nroot: b"])
def test_a_broken_file_is_told_by_name(file, text):
    with pytest.raises(ConfigError, match=r"shop\.yaml is not readable YAML"):
        load_config(file(text))


def test_a_file_without_keys_is_refused(file):
    with pytest.raises(ConfigError, match="must hold 'key: value' lines"):
        load_config(file("[1, 2]"))


@pytest.mark.parametrize(
    ("text", "told"), [("root: ${oc.env:ABSENT_NAME}", "ABSENT_NAME"), ("root: ${nowhere}", "nowhere")]
)
def test_a_name_that_cannot_be_filled_in_is_told(file, text, told):
    with pytest.raises(ConfigError, match=rf"shop\.yaml: .*{told}"):
        load_config(file(text))


@pytest.mark.parametrize(
    "argument", ["photo.jpg", "Root=x", "select count(*) as n", "--root=x", "a b=1", "1a=2", "a..b=1"]
)
def test_what_is_no_override_is_an_operand(argument):
    assert not OVERRIDE.match(argument)
    with pytest.raises(ConfigError, match="is not an override"):
        load_config(None, [argument])


def test_nothing_in_the_configuration_can_be_changed():
    config = load_config(None)
    with pytest.raises(ValidationError):
        config.root = "elsewhere"
    with pytest.raises(ValidationError):
        config.train.width = 2


def test_what_is_shown_is_yaml_that_loads_again(file):
    config = load_config(None, ["root=s3://b/ü", "date=2026-11-22", "train.head=[64]", "train.learning_rate=1e-5"])
    assert load_config(file(as_yaml(config))) == config


def test_shown_secrets_are_masked():
    class Configured(Config):
        review_token: str = ""
        sink: dict[str, str] = {}

    shown = as_yaml(Configured(review_token="4f1e", sink={"aws_secret_access_key": "s3cr3t", "user": "ada"}))
    assert "4f1e" not in shown and "s3cr3t" not in shown
    assert yaml.safe_load(shown)["sink"]["user"] == "ada"


def test_photos_are_looked_for_under_the_root():
    assert load_config(None, ["root=shop/"]).images_uri == "shop/images"
    assert load_config(None, ["root=shop", "images=s3://other"]).images_uri == "s3://other"
