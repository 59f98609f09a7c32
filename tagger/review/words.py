"""Review reasons in words: one plain sentence a reason, with the item's own numbers."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tagger.errors import BundleError
from tagger.flags.reasons import Thresholds
from tagger.storage import Root

_LOG = logging.getLogger(__name__)

Row = Mapping[str, Any]


def reasons_in_words(row: Row, thresholds: Thresholds | None) -> list[str]:
    """A sentence for each of the row's `review_reasons`, in their order; the bare name for one not known here.

    row: columns of `tags`. thresholds: those that the row was judged by; None where they are not known, and then the
    sentences say that a value is too low and not below what.
    """
    known = thresholds or Thresholds()
    return [_SENTENCES[name](row, known) if name in _SENTENCES else name for name in row["review_reasons"]]


def stored_thresholds(places: Sequence[Root], name: str, version: str) -> Thresholds | None:
    """The thresholds in the bundle.json of the first place that holds this name and version of a model.

    None where no place does, or where its thresholds are those of another release: words are no reason to stop.
    """
    for place in places:
        try:
            document = json.loads(place.read_bytes("bundle.json"))
            if (document["name"], document["version"]) == (name, version):
                return Thresholds.from_dict(document["thresholds"])
        except FileNotFoundError:
            continue
        except (BundleError, ValueError, KeyError, TypeError) as error:
            _LOG.warning("%s/bundle.json: %r; sentences leave its thresholds out", place.uri, error)
    return None


def _low_type_confidence(row: Row, thresholds: Thresholds) -> str:
    return _low_confidence(row, "type", thresholds.type_confidence)


def _low_color_confidence(row: Row, thresholds: Thresholds) -> str:
    return _low_confidence(row, "color", thresholds.color_confidence)


def _low_confidence(row: Row, attribute: str, threshold: float | None) -> str:
    sure = _under(row.get(f"{attribute}_confidence"), threshold)
    others = (row.get(f"{attribute}_top3") or [])[1:2]
    after = "".join(f"; next is {other['label']} with {_number(other['p'], 2)}" for other in others)
    return f"The {attribute} is uncertain: {row.get(attribute)} with confidence {sure}{after}."


def _low_focus(row: Row, thresholds: Thresholds) -> str:
    on, area = row.get("cam_on_product"), row.get("product_area")
    where = "lies mostly outside the product" if on is not None and on < 0.5 else "does not follow the product"
    told = f"The color evidence {where}: focus {_under(row.get('focus'), thresholds.focus)}"
    if on is not None and area is not None:
        told += f"; {on:.0%} of it is on the product, which covers {area:.0%} of the picture"
    return f"{told}{_flip(row)}."


def _flip(row: Row) -> str:
    flips = row.get("background_flip")
    if flips is None:
        return ""
    return "; " + ("repainting the background changes the color" if flips else "a repainted background changes nothing")


def _mask_uncertain(row: Row, thresholds: Thresholds) -> str:
    found = "No product was found" if row.get("focus_null_reason") == "empty_mask" else "The product mask is uncertain"
    quality = _under(row.get("mask_quality"), thresholds.mask_quality)
    return f"{found}: mask quality {quality}; the focus number is not believed."


def _color_disagrees(row: Row, thresholds: Thresholds) -> str:
    rgb = row.get("dominant_rgb")
    median = f", whose median color is #{''.join(f'{value:02x}' for value in rgb)}" if rgb else ""
    return f"The tag {row.get('color')} is far from the product's own pixels{median}."


def _out_of_scope(row: Row, thresholds: Thresholds) -> str:
    nearest = f"{row.get('type')} with confidence {_number(row.get('type_confidence'), 2)}"
    return f"The picture looks like none of the trained types; the nearest is {nearest}."


def _audit(row: Row, thresholds: Thresholds) -> str:
    share = row.get("audit_probability")
    chance = "" if share is None else f" with probability {share:.3g}"
    return f"Drawn at random{chance}, to measure the precision of what passes."


_SENTENCES: dict[str, Callable[[Row, Thresholds], str]] = {
    "low_type_confidence": _low_type_confidence,
    "low_color_confidence": _low_color_confidence,
    "low_focus": _low_focus,
    "mask_uncertain": _mask_uncertain,
    "color_disagrees": _color_disagrees,
    "out_of_scope": _out_of_scope,
    "audit": _audit,
}


def _under(value: float | None, threshold: float | None) -> str:
    """ "0.12, below 0.30", with as many digits as it takes to see the difference. Never an untrue comparison."""
    # The table keeps float32: a value judged below may have been rounded up to its threshold.
    if value is None or threshold is None or value > threshold + 1e-6:
        return "unknown" if value is None else f"{_number(value, 2)}, too low"
    for digits in (2, 3, 4):
        told, limit = _number(value, digits), _number(threshold, digits)
        if told != limit:
            return f"{told}, below {limit}"
    return f"{_number(value, 4)}, just below the threshold"


def _number(value: float | None, digits: int) -> str:
    return "unknown" if value is None else f"{round(value, digits) + 0:.{digits}f}"
