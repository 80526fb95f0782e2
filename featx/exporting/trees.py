"""Decision trees as layers: all trees of a head are walked together, one step down at a time."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import backend

__all__ = ["Trees", "apply_trees", "boosted_trees", "forest_trees"]


@dataclass(frozen=True, eq=False)
class Trees:
    """The nodes of several trees, one after another. A leaf is its own child on both sides.

    Attributes
    ----------
    roots : ndarray of int, shape (trees,)
    features : ndarray of int, shape (nodes,)
        The column that a node looks at; 0 for a leaf.
    thresholds : ndarray of float32, shape (nodes,)
        A row goes left where its value is this or less.
    left, right : ndarray of int, shape (nodes,)
    values : ndarray of float, shape (nodes, classes)
        What a leaf says; the trees' leaves are added up.
    depth : int
        Steps from a root to the deepest leaf.
    """

    roots: np.ndarray
    features: np.ndarray
    thresholds: np.ndarray
    left: np.ndarray
    right: np.ndarray
    values: np.ndarray
    depth: int

    @classmethod
    def joined(cls, trees: "Iterable[Trees]") -> "Trees":
        """Return several as one."""
        some = list(trees)
        starts = np.cumsum([0, *(len(tree.left) for tree in some)])[:-1]

        def moved(name: str) -> np.ndarray:
            pairs = zip(some, starts, strict=True)
            return np.concatenate([getattr(tree, name) + start for tree, start in pairs])

        def side_by_side(name: str) -> np.ndarray:
            return np.concatenate([getattr(tree, name) for tree in some])

        return cls(
            moved("roots"),
            side_by_side("features"),
            side_by_side("thresholds"),
            moved("left"),
            moved("right"),
            side_by_side("values"),
            max(tree.depth for tree in some),
        )


def forest_trees(forest: Any) -> Trees:
    """Return the trees of scikit-learn's random forest, whose leaves add up to probabilities."""
    count = len(forest.estimators_)
    return Trees.joined(_forest_tree(one.tree_, count) for one in forest.estimators_)


def _forest_tree(tree: Any, count: int) -> Trees:
    values = tree.value[:, 0, :]
    return _tree(
        tree.feature,
        tree.threshold,
        tree.children_left,
        tree.children_right,
        tree.children_left < 0,
        values / values.sum(axis=1, keepdims=True) / count,
        tree.max_depth,
    )


def boosted_trees(boosting: Any) -> Trees:
    """Return the trees of scikit-learn's histogram boosting, whose leaves add up to scores.

    They add up without the baseline; with two classes there is one column, that of the second.
    """
    columns = len(boosting._predictors[0])
    return Trees.joined(
        _boosted_tree(predictor.nodes, column, columns)
        for predictors in boosting._predictors
        for column, predictor in enumerate(predictors)
    )


def _boosted_tree(nodes: np.ndarray, column: int, columns: int) -> Trees:
    values = np.zeros((len(nodes), columns))
    values[:, column] = nodes["value"]
    return _tree(
        nodes["feature_idx"],
        nodes["num_threshold"],
        nodes["left"],
        nodes["right"],
        nodes["is_leaf"].astype(bool),
        values,
        int(nodes["depth"].max()),
    )


def _tree(
    features: np.ndarray,
    thresholds: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    is_leaf: np.ndarray,
    values: np.ndarray,
    depth: int,
) -> Trees:
    own = np.arange(len(is_leaf))
    return Trees(
        np.zeros(1, np.int64),
        np.where(is_leaf, 0, features).astype(np.int64),
        _not_above(np.where(is_leaf, 0, thresholds)),
        np.where(is_leaf, own, left).astype(np.int64),
        np.where(is_leaf, own, right).astype(np.int64),
        np.where(is_leaf[:, np.newaxis], values, 0),
        depth,
    )


def _not_above(values: np.ndarray) -> np.ndarray:
    """Return the largest float32 that is not above each float64: comparisons stay the same."""
    with np.errstate(over="ignore"):
        near = values.astype(np.float32)
    return np.where(near > values, np.nextafter(near, np.float32(-np.inf)), near)


def apply_trees(rows: Any, trees: Trees) -> Any:
    """Return the sum of the leaves that rows reach.

    Parameters
    ----------
    rows : KerasTensor, shape (batch, d)
    trees : Trees

    Returns
    -------
    KerasTensor of float32, shape (batch, classes)
    """
    keras = backend.keras()
    ops = keras.ops
    # Tables are weights of layers, so that they are saved as numbers; whole numbers up to 2²⁴ are
    # exact in float32.
    table = np.column_stack([trees.features, trees.thresholds, trees.left, trees.right])
    nodes = _lookup(table, "nodes")
    # Every row begins at the roots, whatever is in it.
    first = keras.layers.Dense(len(trees.roots), name="roots")
    start = first(ops.zeros_like(rows))
    first.set_weights([np.zeros((rows.shape[1], len(trees.roots))), trees.roots])
    at = ops.cast(start, "int32")
    for _ in range(trees.depth):
        feature, threshold, left, right = ops.unstack(nodes(at), 4, axis=-1)
        value = ops.take_along_axis(rows, ops.cast(feature, "int32"), axis=1)
        at = ops.cast(ops.where(value <= threshold, left, right), "int32")
    return ops.sum(_lookup(trees.values, "leaves")(at), axis=1)


def _lookup(table: np.ndarray, name: str) -> Any:
    """Return a layer from row numbers to the rows of a table."""
    layer = backend.keras().layers.Embedding(*table.shape, name=name)
    layer.build()
    layer.set_weights([table])
    return layer
