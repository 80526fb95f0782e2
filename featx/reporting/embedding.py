"""A map of the images: similar images lie close to each other."""

import numpy as np

from ..heads.training import one_thread

__all__ = ["embed"]

_MOST_TSNE = 3000  # images; above, t-SNE takes minutes
_COLUMNS = 50


def embed(rows: np.ndarray, seed: int) -> tuple[np.ndarray, str]:
    """Return images as points in two dimensions, and the method that placed them.

    UMAP where the package umap-learn is installed, t-SNE (van der Maaten and Hinton 2008) up to
    3,000 images, and the first two principal components above.

    Parameters
    ----------
    rows : ndarray of float32, shape (n, d)
        Rows of length 1.
    seed : int

    Returns
    -------
    (ndarray of float64, shape (n, 2), str)
        Points within 0 and 1.
    """
    from sklearn.decomposition import PCA

    columns = min(_COLUMNS, *rows.shape)
    few = PCA(columns, svd_solver="randomized", random_state=seed).fit_transform(rows)
    points, method = few[:, :2], "principal components"
    try:
        import umap
    except ImportError:
        umap = None
    if umap is not None and len(rows) > 20:
        points = umap.UMAP(random_state=seed, n_jobs=1).fit_transform(few)
        method = "UMAP"
    elif 20 < len(rows) <= _MOST_TSNE:
        from sklearn.manifold import TSNE

        with one_thread():  # threads that wait for each other cost more than they bring
            near = min(30.0, len(rows) / 4)
            points = TSNE(perplexity=near, init="pca", random_state=seed).fit_transform(few)
        method = "t-SNE"
    if points.shape[1] < 2:
        points = np.column_stack([points, np.zeros(len(points))])
    low, high = points.min(axis=0), points.max(axis=0)
    return (points - low) / np.maximum(high - low, 1e-12), method
