"""Made fields: the category is what the truth says, and nothing around a lesion tells of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsipipe.phantom.gastric_artefact import CHANCE, draw_artefacts
from wsipipe.phantom.gastric_record import GRID_UM, category_map, enlarge, outlines, tissue_map
from wsipipe.phantom.gastric_regime import regime_of
from wsipipe.phantom.gastric_scene import Floor
from wsipipe.phantom.gastric_shape import blob, tube
from wsipipe.phantom.gastric_sprite import FORMS, SIZES, TONES, TURNS, Kind, sprite_index, sprite_sheet
from wsipipe.phantom.gastric_style import CATEGORIES, STYLES, of_slide
from wsipipe.phantom.gastric_tissue import make_scene, plan_field, stream

SIDE = 1000.0
TRAIN = regime_of("train")


@pytest.fixture(scope="module")
def scenes():
    """Four fields of one seed, one of each category."""
    return [make_scene(plan_field(code, 5, TRAIN, SIDE), 5, TRAIN, SIDE) for code in range(4)]


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_the_highest_lesion_is_the_category(code, seed):
    scene = make_scene(plan_field(code, seed, TRAIN, SIDE), seed, TRAIN, SIDE)
    mask, tissue = category_map(scene), tissue_map(scene, GRID_UM)
    assert mask.max() == code
    assert not mask[tissue == 0].any()
    share = (mask == code).sum() / tissue.sum()
    assert code == 0 or 0.01 < share < 0.9


def test_surroundings_do_not_depend_on_the_category(scenes):
    first = scenes[0]
    for code, scene in enumerate(scenes):
        assert all(np.array_equal(a, b) for a, b in zip(first.outlines, scene.outlines, strict=True))
        one, other = plan_field(0, 5, TRAIN, SIDE), plan_field(code, 5, TRAIN, SIDE)
        assert np.array_equal(one.spared, other.spared)
        made = [draw_artefacts(SIDE, plan.spared, stream(TRAIN, 5, 5)) for plan in (one, other)]
        assert made[0].names == made[1].names
        assert made[0].blur_um == made[1].blur_um


def test_artefacts_occur_in_every_category_alike():
    drawn = [
        [
            draw_artefacts(2500.0, plan_field(code, seed, TRAIN, 2500.0).spared, stream(TRAIN, seed, 5)).names
            for seed in range(20)
        ]
        for code in range(4)
    ]
    assert all(names == drawn[0] for names in drawn)
    assert set().union(*drawn[0]) == set(CHANCE)
    assert any(not names for names in drawn[0])


def test_nuclei_of_a_lesion_lie_in_its_mask(scenes):
    for code, scene in enumerate(scenes[1:], start=1):
        mask, nuclei = category_map(scene), scene.all_nuclei()
        own = nuclei[nuclei[:, 6] == code, :2]
        own = own[((own > 4) & (own < SIDE - 4)).all(axis=1)]
        cell = (own / GRID_UM).astype(int)
        inside = tissue_map(scene, GRID_UM)[cell[:, 0], cell[:, 1]] > 0
        assert len(own) > 100
        assert (mask[cell[inside, 0], cell[inside, 1]] >= code).mean() > 0.97


def test_nuclei_keep_their_distance(scenes):
    for scene in scenes:
        rows = scene.all_nuclei()[:1500]
        width = np.array([FORMS[kind].width for kind in Kind])[rows[:, 2].astype(int)] * rows[:, 3]
        away = np.hypot(rows[:, None, 0] - rows[None, :, 0], rows[:, None, 1] - rows[None, :, 1])
        np.fill_diagonal(away, 1e9)
        assert (away >= np.minimum(0.42 * (width[:, None] + width[None]), 8.0) - 1e-9).all()


def test_histology_that_separates_the_categories():
    negative = [style for style in STYLES.values() if style.category == 0]
    assert all(len(style.rows) == 1 and style.rows[0] < 0.4 for style in negative)
    low, high = STYLES["low_grade"], STYLES["high_grade"]
    assert len(low.rows) == 2
    assert max(low.rows) <= 0.5
    assert set(low.kinds) == {Kind.PENCIL}
    assert low.upright == 1
    assert max(high.rows) > 0.9
    assert high.upright < 0.2
    assert Kind.PENCIL not in high.kinds
    assert FORMS[Kind.VESICULAR].width > 1.5 * FORMS[Kind.BASAL].width
    assert {style.category for style in STYLES.values()} == {0, 1, 2, 3}


def test_darkness_of_a_lesion_is_not_tied_to_that_of_the_glands_beside_it():
    drawn = [of_slide(np.random.default_rng(seed)) for seed in range(300)]
    tones = np.array(
        [[styles[name].tone for name in ("antral", "low_grade", "high_grade", "tumour")] for styles in drawn]
    )
    assert np.abs(np.corrcoef(tones.T) - np.eye(4)).max() < 0.2
    for column in range(1, 4):
        assert 0.35 < (tones[:, column] > tones[:, 0]).mean() < 0.65


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(8, 60), st.floats(0, 0.2))
def test_rims_nest(seed, radius, rough):
    rng = np.random.default_rng(seed)
    for rim in (
        blob(np.zeros(2), radius, height=radius * 0.6, rough=rough, rng=rng),
        tube(np.array([[0.0, 0.0], [0.0, 50.0], [10.0, 90.0]]), radius, height=radius * 0.6, rough=rough, rng=rng),
    ):
        gaps = np.hypot(*(rim.ring(0.0) - rim.ring(0.5)).T)
        assert (gaps <= 0.3 * radius + 1e-9).all()
        assert np.allclose(np.hypot(*rim.way.T), 1)
        along = rim.steps(7.0)
        assert len(along) >= 3
        assert (np.diff(along) > 0).all()
        points, _ = rim.spots(np.arange(len(rim.reach), dtype=float), np.zeros(len(rim.reach)))
        assert np.allclose(points, rim.ring(0.0))


def test_floor_refuses_what_is_taken():
    floor = Floor.of(400.0)
    rng = np.random.default_rng(0)
    ring = blob(np.array([200.0, 200.0]), 50, height=1, rough=0, rng=rng).ring(0)
    assert floor.claim(ring)
    assert not floor.claim(ring + 40)
    assert floor.claim(ring + 120)
    assert floor.at(np.array([[200.0, 200.0], [200.0, 290.0], [-5.0, 3.0]])).tolist() == [True, False, True]
    assert floor.room(np.array([[200.0, 300.0]]))[0] == pytest.approx(50, abs=4)
    assert not floor.claim(ring - 1000)


def test_sprites_have_their_size_and_strength():
    sheet = sprite_sheet(0.5)
    assert len(sheet.pictures) == len(Kind) * len(SIZES) * TURNS * len(TONES)
    row = np.array([[0, 0, Kind.LYMPHOCYTE, 1.0, 0.3, 0.99], [0, 0, Kind.VESICULAR, 1.0, 0.3, 0.4]])
    dark, pale = (sheet.pictures[index] for index in sprite_index(row))
    area = [np.count_nonzero(picture > 30) * 0.25 for picture in (dark, pale)]
    assert area[0] == pytest.approx(np.pi / 4 * 5.4 * 5.0, rel=0.25)
    assert area[1] == pytest.approx(np.pi / 4 * 10.2 * 8.6, rel=0.25)
    assert np.median(dark[dark > 30]) > 1.8 * np.median(pale[pale > 30])


def test_a_pencil_nucleus_points_where_it_is_told():
    sheet = sprite_sheet(0.5)
    for angle in (0.0, 0.7, 1.6, 2.5):
        picture = sheet.pictures[int(sprite_index(np.array([[0, 0, Kind.PENCIL, 1.0, angle, 0.5]]))[0])]
        y, x = np.nonzero(picture > 30)
        spread = np.cov(np.stack([x, y]))
        main = np.linalg.eigh(spread)[1][:, 1]
        off = abs(np.arctan2(main[1], main[0]) - angle) % np.pi
        assert min(off, np.pi - off) < np.pi / TURNS


def test_masks_enlarge_to_the_same_place():
    mask = np.zeros((200, 200), np.uint8)
    mask[50:100, 60:120] = 2
    mask[100:150, 60:120] = 3
    fine = enlarge(mask, 512, 0.5, corner_um=(80.0, 100.0))
    assert set(np.unique(fine)) == {0, 2, 3}
    rows, columns = np.nonzero(fine == 2)
    assert abs(rows.min() - 40) <= 1
    assert abs(columns.min() - 40) <= 1
    assert abs(rows.max() - 239) <= 1
    assert abs(columns.max() - 279) <= 1
    assert (fine == 3).sum() == pytest.approx(50 * 60 * 16, rel=0.03)


def test_outlines_enclose_the_mask_and_leave_holes_out():
    import cv2

    mask = np.zeros((300, 300), np.uint8)
    cv2.circle(mask, (150, 150), 90, 1, -1)
    cv2.circle(mask, (150, 150), 30, 0, -1)
    ((code, rings),) = outlines(mask)
    areas = [cv2.contourArea(ring.astype(np.float32)) / GRID_UM**2 for ring in rings]
    assert code == 1
    assert len(rings) == 2
    assert areas[0] - areas[1] == pytest.approx(np.count_nonzero(mask), rel=0.03)


def test_names():
    assert CATEGORIES == ("negative", "low_grade", "high_grade", "invasive")
