"""What the report says, section by section, as plain values for its template."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..auditing.odd import ODD
from ..auditing.result import AuditResult
from ..errors import printable
from ..heads.curve import CurveResult
from ..heads.leaderboard import PREFERENCES
from ..metrics import Scores, share_interval
from ..showing.drawing import entry_name, is_choice
from ..showing.figures import as_svg
from ..showing.plots import plot_curve, plot_leaderboard, plot_reliability
from .shown import Shown, few_of, share_words

__all__ = [
    "believe_part",
    "board_part",
    "failed_part",
    "good_part",
    "headline",
    "image_rows",
    "map_part",
    "more_part",
    "odd_part",
    "odd_paths",
    "wrong_part",
]

_LIMITS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
_MOST_MATRIX = 60  # classes

_TITLES = {"more": "Would more images help?", "odd": "What is odd about the images?"}

Part = dict[str, Any]


def headline(scores: Scores, what: str) -> str:
    """Return in one sentence how good a model is."""
    right = int(scores.confusion.trace())
    low, high = share_interval(right, scores.images)
    return (
        f"Right on {right} of {scores.images} {what}; between {math.floor(100 * low)} and "
        f"{math.ceil(100 * high)} % on images like these"
    )


def good_part(shown: Shown, scores: Sequence[Scores], notes: Sequence[str]) -> Part:
    """Return how good the model is: sentences, a bar for each class, confusion matrices."""
    first, classes = scores[0], shown.parts[0].classes
    chance = math.log(len(classes))
    sentences = [
        f"Balanced accuracy, with every class counting equally, is {first.balanced_accuracy:.3f}; "
        f"macro F1 is {first.macro_f1:.3f}. The log loss is {first.log_loss:z.3f}, where 0 is best "
        f"and giving all classes the same probability has {chance:.3f}.",
        *notes,
    ]
    totals = first.confusion.sum(axis=1)
    bars = []
    for label, name in enumerate(classes):
        right, total = int(first.confusion[label, label]), int(totals[label])
        words = "no images"
        if total:
            low, high = share_interval(right, total)
            words = f"{right} of {total} ({math.floor(100 * low)} to {math.ceil(100 * high)} %)"
        percent = round(100 * right / max(total, 1), 1)
        bars.append({"label": printable(name), "percent": percent, "words": words})
    matrices = [
        {
            "number": number,
            "title": f"What is taken for what: {shown.names[number]}",
            "confusion": one.confusion.tolist(),
            "totals": np.maximum(one.confusion.sum(axis=1), 1).tolist(),
        }
        for number, one in enumerate(scores)
        if len(classes) <= _MOST_MATRIX
    ]
    title = "How good is it?"
    return {
        "id": "good",
        "title": title,
        "sentences": sentences,
        "bars": bars,
        "matrices": matrices,
    }


def wrong_part(shown: Shown, most: int, evidence: str) -> Part:
    """Return the most confident mistakes and the least certain images, with what they are."""
    groups = []
    for number, some in enumerate(shown.parts):
        wrong = some.wrong
        words = "None is wrong."
        if len(wrong):
            few = f"; the {most} most confident are shown" if len(wrong) > most else ""
            words = (
                f"{len(wrong)} of {len(some)} are wrong{few}. A very confident mistake is often a "
                "wrong label."
            )
        cards = [shown.card(number, at) for at in wrong[:most].tolist()]
        title = f"Most confident mistakes: {shown.names[number]}"
        groups.append({"title": title, "words": words, "images": cards})
    least = shown.parts[0].least_certain[: few_of(most)]
    cards = [shown.card(0, at) for at in least.tolist()]
    words = "The two most probable classes are closest here, right or wrong."
    groups.append({"title": f"Least certain: {shown.names[0]}", "words": words, "images": cards})
    title = "What does it get wrong?"
    return {"id": "wrong", "title": title, "groups": groups, "evidence": evidence}


def board_part(board: Mapping[str, Any], prefer: str = "best") -> Part:
    """Return the leaderboard: figure, table and a sentence.

    Parameters
    ----------
    board : mapping
        `CompareResult.as_dict()`.
    prefer : str
        A key of `PREFERENCES`.
    """
    choice = board["choice"]
    chosen = entry_name(choice, board)
    tied = sum(entry["tied"] for entry in board["entries"])
    sentence = (
        f"{chosen} is chosen: {PREFERENCES[prefer].words} of {tied} "
        "that are not significantly worse than the best."
        if tied > 1
        else f"{chosen} is significantly better than all others."
    )
    entries = [_board_row(entry, choice, board) for entry in board["entries"]]
    words = "; ".join(
        f"{entry_name(entry, board)} {row['score']}"
        for entry, row in zip(board["entries"], entries, strict=True)
    )
    return {
        "id": "head",
        "title": "Which head, and why?",
        "sentence": sentence,
        "rule": f"{board['images']} images, {board['rule']}",
        "metric": board["metric"],
        "entries": entries,
        "chart": as_svg(plot_leaderboard(board), "board"),
        "words": f"{board['metric']} of each head: {words}",
    }


def _board_row(
    entry: Mapping[str, Any], choice: Mapping[str, str], board: Mapping[str, Any]
) -> Part:
    def number(key: str, form: str) -> str:
        return "" if entry[key] is None else format(entry[key], form)

    is_several = len(board.get("networks", ())) > 1
    verdict = "tied with the best" if entry["tied"] else ""
    if is_choice(entry, choice):
        verdict = "chosen"
    width = number("ci95_half_width", ".4f")
    return {
        "head": entry["head"],
        "view": f"{entry['view']} of {entry['network']}" if is_several else entry["view"],
        "score": number("score", ".4f") + (f" ± {width}" if width else ""),
        "log_loss": number("log_loss", "z.4f"),
        "fit": number("fit_seconds", ".2f"),
        "cost": number("score_seconds", ".3f"),
        "size": f"{entry['size']:,}" if entry["size"] else "",
        "verdict": printable(entry["error"]) if entry["error"] else verdict,
    }


def believe_part(shown: Shown, scores: Scores) -> Part:
    """Return how far confidence can be believed, and what abstaining costs."""
    some = shown.parts[0]
    right = some.predicted == some.y
    table = []
    for limit in _LIMITS:
        kept = some.confidence >= limit
        precision = f"{right[kept].mean():.1%}" if kept.any() else "–"
        table.append({"limit": limit, "coverage": f"{kept.mean():.1%}", "precision": precision})
    points = 100 * scores.calibration_error
    rows = "; ".join(
        f"confidence {row['confidence']:.2f}: {row['accuracy']:.0%} right of {row['images']}"
        for row in scores.reliability
    )
    return {
        "id": "believe",
        "title": "Can its probabilities be believed?",
        "words": f"On average confidence and accuracy are {points:.1f} percentage points apart "
        "(the expected calibration error). Points near the dotted line mean that a confidence of "
        "0.9 is right nine times in ten; points with few images below them are mostly chance.",
        "chart": as_svg(plot_reliability(scores), "reliability"),
        "alt": rows,
        "abstain": table,
    }


def more_part(curve: CurveResult) -> Part:
    """Return the learning curve and its forecast."""
    rows = [
        {
            "per_class": point.per_class,
            "images": f"{point.images:.0f}",
            "accuracy": f"{point.accuracy:.4f} ± {point.accuracy_half_width:.4f}",
            "log_loss": f"{point.log_loss:.4f} ± {point.log_loss_half_width:.4f}",
        }
        for point in curve.points
    ]
    return {
        "id": "more",
        "title": _TITLES["more"],
        "sentence": curve.sentence,
        "chart": as_svg(plot_curve(curve.as_dict()), "curve"),
        "alt": "; ".join(f"{row['images']} images: {row['accuracy']}" for row in rows),
        "rows": rows,
        "rule": f"{curve.head} on {curve.view}, {curve.rule}",
    }


def failed_part(name: str, problem: str) -> Part:
    """Return a section that could not be made, and why."""
    return {"id": name, "title": _TITLES[name], "problem": problem}


def odd_paths(found: AuditResult, most: int) -> set[str]:
    """Return the paths of the images that `odd_part` shows."""
    doubles = [path for group in found.duplicates for path in group.paths]
    issues = [issue.path for issue in found.label_issues]
    return {*issues[:most], *doubles[:most], *(one.path for one in found.odd[:most])}


def odd_part(shown: Shown, found: AuditResult, most: int) -> Part:
    """Return wrong labels, doubles and odd images as cards."""
    issues = [
        shown.by_path(
            issue.path,
            f"labelled {printable(issue.label)}, looks like {printable(issue.suggested)} "
            f"({share_words(issue.suggested_probability)}); {issue.neighbours_agree:.0%} of the "
            "nearest images agree with the label",
        )
        for issue in found.label_issues
    ]
    doubles = [
        shown.by_path(path, _double_note(number, group, at))
        for number, group in enumerate(found.duplicates, 1)
        for at, path in enumerate(group.paths)
    ]
    odd = [
        shown.by_path(
            one.path,
            f"{ODD[one.kind].summary}: {one.value:.3g}, where images usually have "
            f"{'more' if ODD[one.kind].is_low else 'less'} than {one.limit:.3g}",
        )
        for one in found.odd
    ]
    groups = [
        _group("Labels that may be wrong", issues, most),
        _group("Images that are there twice", doubles, most),
        _group("Odd images", odd, most),
    ]
    words = f"{found.images} labelled images were looked at, whatever their split."
    if found.score_before is not None and found.score_after is not None:
        words += (
            f" In cross-validation the accuracy is {found.score_after:.4f} with near duplicates "
            f"kept on one side of every fold, and {found.score_before:.4f} without that."
        )
    words += " featx changes nothing: featx audit writes a list that you can edit."
    return {"id": "odd", "title": _TITLES["odd"], "words": words, "groups": groups}


def _double_note(number: int, group: Any, at: int) -> str:
    words = [f"group {number}", printable(group.labels[at])]
    words += [printable(group.splits[at])] if group.splits[at] else []
    words += ["different labels"] if group.has_conflict else []
    words += ["in two splits"] if group.crosses_splits else []
    return ", ".join(words)


def _group(title: str, cards: Sequence[Part], most: int) -> Part:
    words = "None was found."
    if cards:
        words = f"{len(cards)} images" if len(cards) > 1 else "1 image"
        words += f"; the first {most} are shown." if len(cards) > most else "."
    return {"title": title, "words": words, "images": cards[:most]}


def map_part(shown: Shown, points: np.ndarray, method: str) -> Part:
    """Return the map of the images: a point each, coloured by class, mistakes ringed."""
    classes = shown.parts[0].classes
    colors = [_color(number, len(classes)) for number in range(len(classes))]
    labels = np.concatenate([part.y for part in shown.parts])
    wrong = np.concatenate([part.predicted != part.y for part in shown.parts])
    rows = [
        {
            "index": index,
            "x": round(20 + 960 * float(x), 1),
            "y": round(20 + 660 * float(y), 1),
            "color": colors[labels[index]],
            "wrong": bool(wrong[index]),
        }
        for index, (x, y) in enumerate(points)
    ]
    return {
        "id": "map",
        "title": "The images on a map",
        "words": f"Images whose features are alike lie close together ({method}). Mistakes have a "
        "ring. Distances across the map mean little.",
        "points": sorted(rows, key=lambda row: row["wrong"]),  # rings lie on top
        "legend": [
            {"label": printable(name), "color": color}
            for name, color in zip(classes, colors, strict=True)
        ],
    }


def _color(number: int, count: int) -> str:
    """Return a colour that is readable on light and on dark, far from those of other classes."""
    hue = 360 * number / max(count, 1)
    return f"hsl({hue:.0f} 70% {45 + 12 * (number % 3)}%)"


def image_rows(shown: Shown) -> Iterable[Part]:
    """Yield what the page's script knows of each image."""
    for number, part in enumerate(shown.parts):
        predicted, confidence = part.predicted, part.confidence
        for at in range(len(part)):
            yield {
                "path": printable(part.paths[at]),
                "part": number,
                "true": int(part.y[at]),
                "predicted": int(predicted[at]),
                "confidence": round(float(confidence[at]), 9),
            }
