import json

import numpy as np
import pytest

from tagger.evaluation.noise import label_noise

CLASSES = ("Shirt", "Belt", "Watch")


def drawn(count=300, wrong=(3, 50, 200)):
    """Items that a network is 90 % sure of, of which those named carry the next class as their label."""
    truth = np.arange(count) % 3
    labels = truth.copy()
    labels[list(wrong)] = (truth[list(wrong)] + 1) % 3
    probabilities = np.full((count, 3), 0.05)
    probabilities[np.arange(count), truth] = 0.9
    return [f"{n}.jpg" for n in range(count)], probabilities, labels


def test_wrong_labels_are_found_with_what_they_should_be():
    noise = label_noise(CLASSES, *drawn())
    assert {suspect.image_key for suspect in noise.suspects} == {"3.jpg", "50.jpg", "200.jpg"}
    first = next(suspect for suspect in noise.suspects if suspect.image_key == "3.jpg")
    assert (first.label, first.suggested) == ("Belt", "Shirt")
    assert (first.label_probability, first.suggested_probability) == (pytest.approx(0.05), pytest.approx(0.9))
    assert noise.suspect_share == pytest.approx(3 / 300)


def test_the_least_probable_label_comes_first():
    keys, probabilities, labels = drawn()
    probabilities[50] = [0.01, 0.03, 0.96]
    assert label_noise(CLASSES, keys, probabilities, labels).suspects[0].image_key == "50.jpg"


def test_the_list_is_cut_and_the_count_is_not():
    noise = label_noise(CLASSES, *drawn(), most=2)
    assert (noise.suspect_count, len(noise.suspects)) == (3, 2)


def test_labels_that_the_network_agrees_with_are_not_suspicious():
    assert label_noise(CLASSES, *drawn(wrong=())).suspect_count == 0


def test_a_class_without_labels_is_no_obstacle():
    keys, probabilities, labels = drawn(wrong=())
    kept = labels != 2
    noise = label_noise(
        CLASSES, [k for k, keep in zip(keys, kept, strict=True) if keep], probabilities[kept], labels[kept]
    )
    assert noise.item_count == 200


def test_one_class_alone_says_nothing_about_its_labels():
    assert label_noise(CLASSES, ["a"], np.array([[0.1, 0.8, 0.1]]), np.array([0])) is None


def test_it_is_strict_json():
    facts = json.loads(json.dumps(label_noise(CLASSES, *drawn()).to_dict(), allow_nan=False))
    assert facts["suspect_count"] == 3 and facts["suspects"][0]["suggested"] in CLASSES
