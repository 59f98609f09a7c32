import numpy as np
import pyarrow as pa

from tagger.tag import metrics


class Same:
    def tag(self, pixels, image_keys, run_date):
        return {"type": list(image_keys)}


def test_without_ray_nothing_is_counted_and_nothing_is_in_the_way():
    metrics.count("units_staged", 1)
    metrics.gauge("run_photos", 3, "planned")
    metrics.count_unit(pa.table({"review_reasons": [["low_focus"], None]}), {"empty": 2}, {"tag": 0.5})
    assert metrics.Timed(Same()).tag(np.zeros((1, 8, 8, 3), np.uint8), ["a"], None) == {"type": ["a"]}
