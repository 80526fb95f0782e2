"""A learning curve carried on: error = a + b · n⁻ᶜ, what twice the images would bring, how surely.

The power law with a floor is that of Cortes et al., "Learning Curves: Asymptotic Values and Rate
of Convergence" (1993). Its parameters are told badly by a few points, the difference between n
and 2n much better: so only the difference is told, as an interval, and only where it is narrow.
"""

from dataclasses import dataclass

import numpy as np

from ..metrics import corrected_half_width

__all__ = ["LEAST_SIZES", "Forecast", "fit_power_law", "forecast"]

#: A curve of fewer sizes has no more points than the law has parameters.
LEAST_SIZES = 4

#: Exponents that are tried.
_EXPONENTS = np.linspace(0.2, 1.0, 33)
_RESAMPLES = 1000
_REFUTED = 3.84  # chi-squared of one parameter, 95 %
_FINEST = 1e-3  # no point is taken for surer than this
_SPREAD = 1.3  # by how much intervals have to be wider to hold: see docs/curve.md
_NARROW = 0.02  # an interval up to this wide is always of use
_WIDEST = 1 / 3  # and any other up to this share of the error that is left: laws differ by as much


@dataclass(frozen=True)
class Forecast:
    """What twice as many training images would bring.

    Attributes
    ----------
    per_class : int
        Training images a class: twice those of the last point.
    accuracy_gain_low, accuracy_gain_high : float
        95 % interval of the accuracy there, less that of the last point; 0.01 is one point.
    log_loss_gain_low, log_loss_gain_high : float
        95 % interval of the log loss of the last point, less that there: positive is better.
    a, b, c : float
        The law of the accuracy, ``1 - accuracy = a + b * n ** -c`` for n training images a class.
    """

    per_class: int
    accuracy_gain_low: float
    accuracy_gain_high: float
    log_loss_gain_low: float
    log_loss_gain_high: float
    a: float
    b: float
    c: float


def fit_power_law(
    sizes: np.ndarray, values: np.ndarray, weights: np.ndarray, *, floor: bool = True
) -> np.ndarray:
    """Fit ``a + b * n ** -c`` with a, b ≥ 0 by weighted least squares, to many curves at once.

    For a given c the law is linear, so the best a and b are known; c is the best of a grid.

    Parameters
    ----------
    sizes : ndarray of float, shape (s,)
        Training images a class, n.
    values : ndarray of float, shape (curves, s)
        Errors or losses.
    weights : ndarray of float, shape (s,)
        One over the variance of each point.
    floor : bool
        Whether a can be above 0.

    Returns
    -------
    ndarray of float64, shape (curves, 3)
        a, b and c of each curve.

    Examples
    --------
    >>> sizes = np.array([5.0, 10.0, 20.0, 40.0])
    >>> fit_power_law(sizes, 0.1 + 0.5 / sizes[np.newaxis], np.ones(4)).round(6).tolist()
    [[0.1, 0.5, 1.0]]
    """
    share = weights / weights.sum()
    mean = values @ share
    best = np.full(len(values), np.inf)
    found = np.zeros((len(values), 3))
    for exponent in _EXPONENTS:
        x = (sizes / sizes[-1]) ** -exponent
        middle = float(x @ share)
        slope = ((values - mean[:, np.newaxis]) @ (share * (x - middle))) / (
            share @ (x - middle) ** 2
        )
        slope = np.maximum(slope, 0)
        lowest = mean - slope * middle
        through = np.maximum(values @ (share * x) / (share @ x**2), 0)  # the best with a = 0
        is_through = (lowest < 0) | (not floor)
        slope, lowest = np.where(is_through, through, slope), np.where(is_through, 0, lowest)
        loss = (values - lowest[:, np.newaxis] - slope[:, np.newaxis] * x) ** 2 @ share
        is_better = loss < best
        best[is_better] = loss[is_better]
        law = np.stack([lowest, slope * sizes[-1] ** exponent, np.full(len(values), exponent)], 1)
        found[is_better] = law[is_better]
    return found


def forecast(
    sizes: np.ndarray, accuracy: np.ndarray, log_loss: np.ndarray, share: float, seed: int
) -> tuple[Forecast | None, str]:
    """Tell what twice as many images would bring.

    Parameters
    ----------
    sizes : ndarray of float, shape (s,)
        Training images a class, ascending.
    accuracy, log_loss : ndarray of float, shape (r, s)
        Scores in each fold; or of each image where there is a single fold.
    share : float
        Images tested on for each one trained on, see `metrics.corrected_half_width`; 0 for images.
    seed : int

    Returns
    -------
    Forecast or None
        None where it cannot be told.
    str
        A sentence for people.
    """
    if len(sizes) < LEAST_SIZES:
        return None, _unknown(f"there are {len(sizes)} sizes, and it takes {LEAST_SIZES}")
    if len(accuracy) < 2:
        return None, _unknown("there is one image to test on")
    before = accuracy[:, accuracy[:, :-1].mean(axis=0).argmax()]
    lost = before - accuracy[:, -1]
    if lost.mean() > corrected_half_width(lost, share):
        return None, _unknown("the accuracy falls where images are added")
    error = 1 - float(accuracy[:, -1].mean())
    gains, law = _gains(sizes, 1 - accuracy, share, seed)
    low, high = _interval(gains, error)
    if high - low > max(_NARROW, _WIDEST * error):
        return None, _unknown(f"{100 * low:.1f} to {100 * high:.1f} points of accuracy fit them")
    loss_low, loss_high = _interval(
        _gains(sizes, log_loss, share, seed)[0], float(log_loss[:, -1].mean())
    )
    found = Forecast(
        round(2 * float(sizes[-1])),
        *(low, high, loss_low, loss_high),
        *map(float, law),
    )
    return found, _sentence(found, round(float(sizes[-1])))


def _gains(
    sizes: np.ndarray, values: np.ndarray, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return by how much resampled curves fall from the last size to its double, and the law.

    Folds are drawn with replacement, the same ones for all sizes. Their means vary too little: the
    folds share images (Nadeau and Bengio), and they are few (Student). What the law leaves over at
    the points is drawn apart for each. A few points seldom tell whether the law has a floor: so the
    law without one counts as much, for each curve that it fits nearly as well.
    """
    from scipy import stats

    count = len(values)
    random = np.random.default_rng(seed)
    drawn = random.multinomial(count, np.full(count, 1 / count), size=_RESAMPLES) / count
    mean = values.mean(axis=0)
    wider = stats.t.ppf(0.975, count - 1) / stats.norm.ppf(0.975)
    wider *= np.sqrt((1 + count * share) * count / (count - 1))
    own = values.var(axis=0, ddof=1) * (1 / count + share)
    # A few folds say little of how sure a point is: half of what they say of all points together.
    deviations = np.sqrt((own + own.mean()) / 2 + _FINEST**2)
    law = fit_power_law(sizes, mean[np.newaxis], deviations**-2)[0]
    left = (mean - _at(law, sizes)) / deviations
    unexplained = np.sqrt((left**2).sum() / (len(sizes) - 3))
    curves = mean + wider * (drawn @ values - mean)
    curves += unexplained * deviations * random.standard_normal(curves.shape)
    free, through = (
        fit_power_law(sizes, curves, deviations**-2, floor=floor) for floor in (True, False)
    )
    off_free, off_through = (
        (((curves - _at(laws[:, np.newaxis], sizes)) / deviations) ** 2).sum(axis=1)
        for laws in (free, through)
    )
    is_refuted = off_through - off_free > _REFUTED
    through[is_refuted] = free[is_refuted]
    laws = np.concatenate([free, through])
    return _at(laws, sizes[-1]) - _at(laws, 2 * sizes[-1]), law


def _interval(gains: np.ndarray, most: float) -> tuple[float, float]:
    """Return the 95 % interval of gains, which are from 0 to all that is left."""
    low, middle, high = np.percentile(gains, [2.5, 50, 97.5])
    ends = np.clip(middle + _SPREAD * (np.array([low, high]) - middle), 0, most)
    return float(ends[0]), float(ends[1])


def _at(law: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    return law[..., 0] + law[..., 1] * sizes ** -law[..., 2]


def _unknown(reason: str) -> str:
    return f"What twice as many images would bring cannot be told from these images: {reason}."


def _sentence(found: Forecast, before: int) -> str:
    low, high = (
        f"{100 * gain:.1f}" for gain in (found.accuracy_gain_low, found.accuracy_gain_high)
    )
    start = (
        f"Twice as many training images ({found.per_class} a class in place of {before}) would "
        "probably bring"
    )
    if high == "0.0":
        return f"{start} less than 0.1 points of accuracy."
    if low == "0.0":
        return f"{start} at most {high} points of accuracy."
    return f"{start} {low} to {high} points of accuracy."
