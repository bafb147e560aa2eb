import pytest

from video_colbert.dataset_builders.shapes.moving_shapes_scenes import (
    COLOURS,
    MOTIONS,
    SHAPES,
    Action,
    Partition,
    Scene,
    all_scenes,
    partition_of,
    partition_scenes,
)

LEFT = Action("red", "circle", "moves left")
GROWS = Action("blue", "square", "grows")


def test_captions_name_actors_motions_and_relation() -> None:
    assert Scene("alone", (LEFT,)).caption == "a red circle moves left"
    assert Scene("and", (LEFT, GROWS)).caption == "a red circle moves left and a blue square grows"
    assert Scene("then", (LEFT, GROWS)).caption == "a red circle moves left then a blue square grows"


def test_one_actor_is_named_once() -> None:
    twice = Scene("then", (LEFT, Action("red", "circle", "shrinks")))
    assert twice.caption == "a red circle moves left then shrinks"


def test_twins_change_the_direction_or_the_order_and_nothing_else() -> None:
    assert Scene("alone", (GROWS,)).twin.caption == "a blue square shrinks"
    assert Scene("and", (LEFT, GROWS)).twin.caption == "a red circle moves right and a blue square shrinks"
    assert Scene("then", (LEFT, GROWS)).twin.caption == "a blue square grows then a red circle moves left"


@pytest.mark.parametrize("actors", [1, 2])
def test_a_twin_of_a_twin_is_the_scene_and_captions_differ(actors: int) -> None:
    for scenes in all_scenes(actors).values():
        for scene in scenes[::37]:
            assert scene.twin.twin == scene
            assert scene.twin.caption != scene.caption


def test_number_of_scenes_is_the_number_of_combinations() -> None:
    cast = len(COLOURS) * len(SHAPES)
    one, two = all_scenes(1), all_scenes(2)
    assert len(one["alone"]) == len(two["alone"]) == cast * len(MOTIONS)
    assert len(one["then"]) == cast * len(MOTIONS) * (len(MOTIONS) - 1)
    assert len(two["and"]) == len(two["then"]) == cast * (cast - 1) * len(MOTIONS) ** 2


def test_only_one_or_two_actors() -> None:
    with pytest.raises(ValueError, match="actors must be 1 or 2, got 3"):
        all_scenes(3)


def test_scenes_made_of_the_same_frames_share_a_partition() -> None:
    for scenes in all_scenes(2).values():
        for scene in scenes[::53]:
            partition = partition_of(scene, 0, 0.5)
            assert partition_of(scene.twin, 0, 0.5) == partition
            assert partition_of(scene.reversed(), 0, 0.5) == partition
            assert partition_of(scene.identity, 0, 0.5) == partition


def test_partitions_hold_the_asked_shares_and_training_sees_every_word() -> None:
    partitions = partition_scenes(2, 0, 0.2)
    sizes = {name: sum(map(len, scenes.values())) for name, scenes in partitions.items()}
    total = sum(sizes.values())
    assert total == sum(map(len, all_scenes(2).values()))
    assert sizes["validation"] / total == pytest.approx(0.1, abs=0.01)
    assert sizes["test"] / total == pytest.approx(0.1, abs=0.01)

    def words(partition: Partition) -> set[str]:
        return {word for scenes in partitions[partition].values() for s in scenes for word in s.caption.split()}

    assert words("validation") | words("test") <= words("train")


def test_another_seed_holds_out_other_scenes() -> None:
    assert partition_scenes(2, 0, 0.2)["test"] != partition_scenes(2, 1, 0.2)["test"]
