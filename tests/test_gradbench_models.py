"""GradBench: gmm, kmeans, lstm, ba and ht against plain loops in NumPy and complex steps, on tiny inputs."""

from __future__ import annotations

import importlib
from itertools import pairwise

import numpy as np
import pytest
from scipy.special import multigammaln

RNG = np.random.default_rng(5)


def result(module, function, data):
    """The JSON value of a function of a problem."""
    prepared = importlib.import_module(f"problems.{module}").FUNCTIONS[function](data)
    return prepared.output(prepared.run())


def close(ours, theirs):
    np.testing.assert_allclose(np.array(ours), np.array(theirs), rtol=1e-10, atol=1e-12)


def slopes(function, x):
    """The derivative of an array by a flat array, column by column by complex steps."""
    step = 1e-30
    columns = [function(x + step * 1j * direction).imag / step for direction in np.eye(len(x))]
    return np.stack(columns, axis=-1)


def log_sum_exp(v):
    return np.log(np.exp(v - v.real.max(axis=0)).sum(axis=0)) + v.real.max(axis=0)


def parts(flat, *shapes):
    """Arrays laid end to end."""
    ends = np.cumsum([np.prod(shape, dtype=int) for shape in shapes])
    return [x.reshape(shape) for x, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True)]


# ---- gmm ---------------------------------------------------------------------------------------


def mixture_input(d, k, n, m, gamma):
    def normal(*shape):
        return RNG.normal(size=shape).tolist()

    parameters = {"alpha": normal(k), "mu": normal(k, d), "q": normal(k, d), "l": normal(k, d * (d - 1) // 2)}
    return {"d": d, "k": k, "n": n, "m": m, "gamma": gamma, "x": normal(n, d)} | parameters


def log_posterior(flat, data):
    """From the densities of Gauss and Wishart, with determinants and traces."""
    d, k, n = data["d"], data["k"], data["d"] + data["m"] + 1
    x = np.array(data["x"])
    alpha, mu, q, strict = parts(flat, (k,), (k, d), (k, d), (k, d * (d - 1) // 2))
    log_prior, logs, spread = 0.0, [], data["gamma"] ** -2
    for c in range(k):
        root = np.diag(np.exp(q[c]))
        columns, rows = np.triu_indices(d, 1)
        root[rows, columns] = strict[c]
        precision = root.T @ root
        log_det = np.log(np.linalg.det(precision))
        squares = np.einsum("ia,ab,ib->i", x - mu[c], precision, x - mu[c])
        logs.append(alpha[c] - log_sum_exp(alpha) + (log_det - d * np.log(2 * np.pi) - squares) / 2)
        log_prior += (n - d - 1) / 2 * log_det - np.trace(precision) / spread / 2
        log_prior -= n * d / 2 * np.log(2) + n * d / 2 * np.log(spread) + multigammaln(n / 2, d)
    return log_sum_exp(np.array(logs)).sum() + log_prior


@pytest.mark.parametrize("sizes", [(3, 4, 6, 2, 1.3), (2, 1, 5, 0, 1.0), (1, 3, 4, 1, 0.5)])
def test_a_mixture_of_gaussians_is_scored_by_its_densities_and_differentiated(sizes):
    data = mixture_input(*sizes)
    names = ("alpha", "mu", "q", "l")
    flat = np.concatenate([np.ravel(data[name]) for name in names])
    close(result("gmm", "objective", data), log_posterior(flat, data))
    ours = result("gmm", "jacobian", data)
    assert [np.shape(ours[name])[0] for name in names] == [data["k"]] * 4
    close(
        np.concatenate([np.ravel(ours[name]) for name in names]),
        slopes(lambda v: log_posterior(v, data), flat),
    )


# ---- kmeans ------------------------------------------------------------------------------------


def test_newtons_step_moves_a_centre_to_the_mean_of_its_points():
    points = RNG.normal(size=(30, 3))
    centres = points[:4]
    distances = ((points[:, None] - centres) ** 2).sum(axis=2)
    nearest = distances.argmin(axis=1)
    means = np.stack([points[nearest == j].mean(axis=0) for j in range(4)])
    data = {"points": points.tolist(), "centroids": centres.tolist()}
    close(result("kmeans", "cost", data), distances.min(axis=1).sum())
    close(result("kmeans", "dir", data), centres - means)


# ---- lstm --------------------------------------------------------------------------------------


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def text_loss(main, extra, state, letters):
    """Letter by letter, layer by layer."""
    hidden, cell = list(state[0::2]), list(state[1::2])
    total = 0.0
    for letter, following in pairwise(letters):
        x = letter * extra[0]
        for k in range(len(hidden)):
            weight, bias = main[2 * k].reshape(4, -1), main[2 * k + 1].reshape(4, -1)
            forget, leave = (sigmoid(x * weight[g] + bias[g]) for g in (0, 2))
            enter = sigmoid(hidden[k] * weight[1] + bias[1])
            change = np.tanh(hidden[k] * weight[3] + bias[3])
            cell[k] = cell[k] * forget + enter * change
            x = hidden[k] = leave * np.tanh(cell[k])
        predicted = x * extra[1] + extra[2]
        total += (following * (predicted - np.log(np.exp(predicted).sum() + 2))).sum()
    return -total / ((len(letters) - 1) * letters.shape[1])


@pytest.mark.parametrize(("layers", "letters", "bits"), [(1, 3, 2), (2, 5, 3), (4, 3, 2)])
def test_layers_that_advance_together_give_the_loss_of_layers_one_after_the_other(layers, letters, bits):
    shapes = (2 * layers, 4 * bits), (3, bits), (2 * layers, bits)
    main, extra, state = (RNG.normal(size=shape) for shape in shapes)
    text = RNG.integers(0, 2, (letters, bits)).astype(float)
    names = ("main_params", "extra_params", "state", "sequence")
    data = {name: x.tolist() for name, x in zip(names, (main, extra, state, text), strict=True)}
    flat = np.concatenate([main.ravel(), extra.ravel()])
    close(result("lstm", "objective", data), text_loss(main, extra, state, text))
    close(
        result("lstm", "jacobian", data),
        slopes(lambda v: text_loss(*parts(v, *shapes[:2]), state, text), flat),
    )


# ---- ba ----------------------------------------------------------------------------------------


def picture_error(flat, seen):
    turn, centre, focal, principal, radial, point, weight = np.split(flat, [3, 6, 7, 9, 11, 14])
    angle = np.sqrt(turn @ turn)
    axis, away = turn / angle, point - centre
    turned = away * np.cos(angle) + np.cross(axis, away) * np.sin(angle)
    turned += axis * (axis @ away) * (1 - np.cos(angle))
    flat = turned[:2] / turned[2]
    square = flat @ flat
    return weight * (flat * (1 + radial[0] * square + radial[1] * square**2) * focal + principal - seen)


def test_bundle_adjustment_fills_the_rows_of_every_observation():
    camera, point, seen = RNG.normal(size=11), RNG.normal((0, 0, 9)), RNG.normal(size=2)
    sizes = {"n": 2, "m": 3, "p": 5, "w": 0.7}
    data = sizes | {"cam": camera.tolist(), "x": point.tolist(), "feat": seen.tolist()}
    flat = np.array([*camera, *point, 0.7])
    found = result("ba", "objective", data)
    assert (found["reproj_error"]["repeated"], found["w_err"]["repeated"]) == (5, 5)
    close(found["reproj_error"]["elements"], picture_error(flat, seen))
    close(found["w_err"]["element"], 1 - 0.7**2)
    jacobian = result("ba", "jacobian", data)
    row = slopes(lambda v: picture_error(v, seen), flat)
    close(jacobian["vals"], [*row.ravel(), -1.4])
    assert jacobian["rows"] == [*range(0, 450, 15), 31 * 5]
    columns = [*range(11), *range(22, 25), 31]
    assert jacobian["cols"] == [*columns, *columns, 31 + 4]


# ---- ht ----------------------------------------------------------------------------------------

PARENTS = [-1, 0, 1, 2, 3, *(p for f in range(1, 5) for p in (0, 4 * f + 1, 4 * f + 2, 4 * f + 3)), 0]


def hand_input(us, mirrored=False):
    bones, vertices = len(PARENTS), 7
    names = ("base_relatives", "inverse_base_absolutes")
    model = {name: (RNG.normal(size=(bones, 4, 4)) * 0.5).tolist() for name in names}
    model |= {
        "base_positions": np.hstack([RNG.normal(size=(vertices, 3)), np.ones((vertices, 1))]).tolist(),
        "weights": RNG.random((vertices, bones)).tolist(), "parents": PARENTS,
        "triangles": [[0, 1, 2], [2, 3, 6], [1, 6, 4]], "is_mirrored": mirrored,
    }  # fmt: skip
    found, points = ([2, 0, 1, 2], RNG.normal(size=(4, 3)).tolist())
    data = {"model": model, "correspondences": found, "points": points}
    return {
        "theta": RNG.normal(size=26).tolist(),
        "us": RNG.random((4, 2)).tolist() if us else [],
        "data": data,
    }


def hand_errors(theta, us, data):
    """Bone by bone, vertex by vertex."""
    model = {name: np.array(value) for name, value in data["model"].items()}
    absolutes, skin = [], 0.0
    for b, parent in enumerate(PARENTS):
        finger, joint = divmod(b - 1, 4)
        bend = theta[6 + 4 * finger + (0, 0, 2, 3)[joint]] if 0 < b < 21 and joint else 0.0
        spread = theta[7 + 4 * finger] if 0 < b < 21 and joint == 1 else 0.0
        cx, sx, cz, sz = np.cos(bend), np.sin(bend), np.cos(spread), np.sin(spread)
        around_x = np.array([[1, 0, 0, 0], [0, cx, -sx, 0], [0, sx, cx, 0], [0, 0, 0, 1.0]])
        around_z = np.array([[cz, -sz, 0, 0], [sz, cz, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
        relative = model["base_relatives"][b] @ around_z @ around_x
        absolutes.append(relative if parent < 0 else absolutes[parent] @ relative)
        moved = model["base_positions"] @ (absolutes[b] @ model["inverse_base_absolutes"][b]).T
        skin = skin + model["weights"][:, b, None] * moved[:, :3]
    if model["is_mirrored"]:
        skin = skin * np.array([-1, 1, 1])
    angle = np.sqrt(theta[:3] @ theta[:3])
    x, y, z = theta[:3] / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    skin = skin @ turn.T + theta[3:6]
    found, points = np.array(data["correspondences"]), np.array(data["points"])
    if us is None:
        return points - skin[found]
    places = np.stack([us[:, 0], us[:, 1], 1 - us[:, 0] - us[:, 1]], axis=1)
    return points - np.einsum("ik,ikr->ir", places, skin[model["triangles"][found]])


def test_the_simple_hand_mirrored_is_compared_with_vertices():
    data = hand_input(us=False, mirrored=True)
    theta = np.array(data["theta"])
    close(result("ht", "objective", data), hand_errors(theta, None, data["data"]).ravel())
    close(result("ht", "jacobian", data), slopes(lambda p: hand_errors(p, None, data["data"]).ravel(), theta))


def test_the_complicated_hand_is_compared_with_places_on_triangles():
    data = hand_input(us=True)
    theta, us = np.array(data["theta"]), np.array(data["us"])
    close(result("ht", "objective", data), hand_errors(theta, us, data["data"]).ravel())
    by_pose = slopes(lambda p: hand_errors(p, us, data["data"]), theta)
    by_place = slopes(lambda own: hand_errors(theta, us + own, data["data"]), np.zeros(2))
    jacobian = np.array(result("ht", "jacobian", data))
    close(jacobian[:, 2:], by_pose.reshape(-1, 26))
    close(jacobian[:, :2], by_place.reshape(-1, 2))
