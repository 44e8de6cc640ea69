"""Any set of half-made and damaged layers: the store opens, the next writer takes away what is
half made and leaves the rest alone, and the check tells what is damaged, no more and no less.
"""

import tempfile
from collections.abc import Collection, Iterator, Set
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from backend import StoreOptions, open_store
from backend.model.findings import Depth, Fault
from tests.support.damagedforest import GONE, LEADS_OUT, Forest, Tree, forests

pytestmark = pytest.mark.root

DRIVERS = ["vfs", pytest.param("overlay", marks=pytest.mark.overlay)]

Found = Set[tuple[str, str, Fault]]


@pytest.mark.parametrize("driver", DRIVERS)
@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(trees=forests())
def test_any_damage_is_told_and_only_what_is_half_made_goes(
    tmp_path: Path, driver: str, trees: list[Tree]
) -> None:
    with tempfile.TemporaryDirectory(dir=tmp_path) as base:
        forest = Forest(Path(base), driver, trees)
        every, outside = range(len(trees)), state([forest.outside])
        assert listed(forest.options) == {forest.layers[place] for place in every}
        assert found(forest.options) == expected(forest, every)

        left = [place for place in every if not goes(trees, place)]
        before = state(paths_of(forest, left))
        with open_store(forest.options) as store:
            store.snapshot()
        assert state(paths_of(forest, left)) == before
        assert remains(forest, set(every) - set(left)) == []
        assert listed(forest.options) == {forest.layers[place] for place in left}
        assert found(forest.options) == expected(forest, left)

        before = state([Path(base, "graph"), Path(base, "run")])
        with open_store(forest.options) as store:
            store.snapshot()
        assert state([Path(base, "graph"), Path(base, "run")]) == before
        assert state([forest.outside]) == outside

        whole = [place for place in left if stays_whole(trees, place)]
        before = state(paths_of(forest, whole))
        with open_store(forest.options) as store:
            for _ in range(2):  # what is behind a lost link is seen when that is written again
                plan = store.plan_repair(store.check(Depth.DIGESTS), containers=True)
                done = store.repair(plan.steps)
                assert [step.error for step in done if step.error] == []
                assert plan.left == ()
        assert {one for one in found(forest.options) if one[2] is not Fault.UNVERIFIABLE} == set()
        assert {forest.layers[place] for place in whole} <= listed(forest.options)
        assert state(paths_of(forest, whole)) == before


def listed(options: StoreOptions) -> Set[str]:
    """Layers that who only reads sees."""
    with open_store(options._replace(read_only=True)) as store:
        return store.snapshot().layers.by_id.keys()


def found(options: StoreOptions) -> Found:
    """What the check finds, without changing anything."""
    with open_store(options._replace(read_only=True)) as store:
        report = store.check(Depth.DIGESTS)
    return {(one.kind, one.id, one.fault) for one in report.findings}


def goes(trees: list[Tree], place: int) -> bool:
    """Whether the next writer takes a layer away: if nothing stands on it that stays."""
    above = [other for other, tree in enumerate(trees) if tree.parent == place]
    return trees[place].incomplete and all(goes(trees, other) for other in above)


def paths_of(forest: Forest, places: Collection[int]) -> list[Path]:
    return [path for place in places for path in forest.parts(place).values()]


def remains(forest: Forest, places: Collection[int]) -> list[Path]:
    """Parts of layers that should be gone.

    A link in ``l`` stays where others took away the directory that names it, or bent the link.
    """
    return [
        path
        for place in places
        for part, path in forest.parts(place).items()
        if part != "l" or not {"directory", "l"} & forest.trees[place].damage.keys()
    ]


def state(roots: Collection[Path]) -> dict[str, tuple[int, int]]:
    """What would show that anything was touched."""
    paths = [path for root in roots for path in (root, *root.rglob("*"))]
    return {
        str(path): (path.lstat().st_ino, path.lstat().st_ctime_ns)
        for path in paths
        if path.suffix != ".lock"
    }


def stays_whole(trees: list[Tree], place: int) -> bool:
    """Whether neither a layer nor what is below or above it is hurt: that may all be one image."""
    above = [other for other in range(place, len(trees)) if place in chain_of(trees, other)]
    stack = {*chain_of(trees, place), *above}
    return not any(trees[one].incomplete or trees[one].damage for one in stack)


def expected(forest: Forest, left: Collection[int]) -> Found:
    """What is to be found of the layers that are *left*, and of what stands on the others."""
    wrong: set[tuple[str, str, Fault]] = set()
    for place, tree in enumerate(forest.trees):
        if place in left:
            faults = [Fault.RECORD] if tree.incomplete else layer_faults(forest, place)
            wrong |= {("layer", forest.layers[place], fault) for fault in faults}
            continue
        if tree.has_image:
            wrong.add(("image", forest.objects[place], Fault.RECORD))
        if tree.is_container:
            wrong.add(("container", forest.objects[place], Fault.RECORD))
    return wrong


def layer_faults(forest: Forest, place: int) -> Iterator[Fault]:
    """What is wrong with one that is not half made."""
    tree = forest.trees[place]
    hurt, below = tree.damage, ancestors(forest.trees, place)
    if "items" in hurt and not tree.is_container:
        yield Fault.DATA_MISSING
    driver_faults = set(directory_faults(forest, place))
    yield from driver_faults
    if driver_faults or tree.is_container:
        return
    if "tar-split" in hurt:
        yield Fault.UNVERIFIABLE if hurt["tar-split"] == GONE else Fault.LAYER_DIGEST
    elif forest.options.driver == "overlay" and any(map(is_no_base, below)):
        yield Fault.UNVERIFIABLE


def directory_faults(forest: Forest, place: int) -> Iterator[Fault]:
    """What is wrong with the directory and the links of a layer."""
    tree = forest.trees[place]
    if "directory" in tree.damage:
        yield Fault.LAYER_DIRECTORY
        return
    if forest.options.driver == "vfs":
        return
    if "diff" in tree.damage or is_nameless(tree):
        yield Fault.LAYER_DIRECTORY
    if {"link", "l"} & tree.damage.keys() and not is_nameless(tree):
        yield Fault.LAYER_LINKS
    below = list(ancestors(forest.trees, place))
    if "lower" in tree.damage and below and not any(map(is_nameless, below)):
        yield Fault.LAYER_LINKS


def is_nameless(tree: Tree) -> bool:
    """Whether nothing tells the short name that others know the layer by."""
    return "directory" in tree.damage or {"link", "l"} <= tree.damage.keys()


def is_no_base(tree: Tree) -> bool:
    """Whether nothing can be read of what stands on the layer."""
    hurt = tree.damage
    return (
        is_nameless(tree)
        or {"link", "diff"} <= hurt.keys()
        or LEADS_OUT in (hurt.get("diff"), hurt.get("l"))
    )


def ancestors(trees: list[Tree], place: int) -> Iterator[Tree]:
    return (trees[other] for other in chain_of(trees, place)[1:])


def chain_of(trees: list[Tree], place: int) -> list[int]:
    """A layer and those below it."""
    parent = trees[place].parent
    return [place] if parent is None else [place, *chain_of(trees, parent)]
