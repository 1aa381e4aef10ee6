"""Teaches a fresh policy to balance a pole, by one batch and one step of SGD.

    pip install 'tfdistill[rl]'
    python examples/cartpole.py

A generator (Such et al. 2019) makes a single batch of synthetic states, each with how
much the cart should be pushed left and right. Any new policy that takes one step of
gradient descent on it, at the learned rate, balances the pole. The generator learns
this from the states and actions of an expert: nothing here is an image, and the judge
is an objective of our own.
"""

import gymnasium
import numpy as np

import tfdistill  # before keras and tensorflow: it sets flags for speed

import keras  # isort: skip
import tensorflow as tf  # isort: skip

tf.get_logger().setLevel("ERROR")  # each new policy is traced, of which it warns
ACTIONS, STATE = ("left", "right"), (4,)
POLICIES, EPISODES = 10, 10


def expert(states):
    """The probabilities [N, 2] of left and right, by a rule made by hand."""
    right = 1 / (1 + np.exp(-10 * states @ np.array([0.1, 0.5, 3.0, 1.0])))
    return np.stack([1 - right, right], axis=1).astype("float32")


def play(act, steps=500, seed=0):
    """The return of each of some episodes, and the states [steps, episodes, 4]."""
    environments = gymnasium.make_vec("CartPole-v1", num_envs=EPISODES)
    states, _ = environments.reset(seed=seed)
    alive, returns, seen = np.ones(EPISODES, bool), np.zeros(EPISODES), []
    for _ in range(steps):
        seen.append(states)
        states, _, fell, ended, _ = environments.step(act(states))
        returns += alive
        alive &= ~(fell | ended)
    environments.close()
    return returns, np.stack(seen)


# What the expert would do, also where it would not have come by itself.
rng = np.random.default_rng(0)


def wavering(states):
    random = rng.random(len(states)) < 0.4
    best = expert(states).argmax(1)
    return np.where(random, rng.integers(0, 2, len(states)), best)


states = np.concatenate([play(wavering, seed=s)[1].reshape(-1, 4) for s in range(8)])
normalization = tfdistill.Normalization(states.mean(0), states.std(0), scale=1)
real = tf.data.Dataset.from_tensor_slices(
    (normalization.normalize(states), expert(states))
)
real = real.shuffle(len(states), seed=0).repeat().batch(512, drop_remainder=True)


class Imitation(tfdistill.Classification):
    """Cross-entropy to the expert's probabilities, instead of integer labels."""

    metric_names = ("agreement",)

    def meta_loss(self, labels, outputs):
        return self.inner_loss(labels, outputs)

    def metrics(self, labels, outputs):
        same = tf.equal(tf.argmax(labels, -1), tf.argmax(outputs, -1))
        return {"agreement": tf.reduce_mean(tf.cast(same, outputs.dtype))}


def policy():
    return keras.Sequential(
        [
            keras.Input(STATE),
            keras.layers.Dense(64, activation="tanh"),
            keras.layers.Dense(len(ACTIONS)),
        ]
    )


def network(image_shape, num_classes):
    z, labels = keras.Input((16,)), keras.Input((num_classes,))
    x = keras.layers.Concatenate()([z, labels])
    for _ in range(2):
        x = keras.layers.Dense(64, activation="relu")(x)
    return keras.Model([z, labels], keras.layers.Dense(*image_shape)(x))


generator = tfdistill.Generator(
    STATE,
    len(ACTIONS),
    steps=1,
    batch_size=512,
    network=network,
    inner_optimizer="sgd",
    learning_rate=1.0,
    soft_labels=True,
    source=tfdistill.DataSource("cartpole", normalization, ACTIONS),
)
distiller = tfdistill.Distiller(policy, generator, objective=Imitation())


def mean_returns(batch=None):
    """Of new policies, each after a step on the batch, if there is one."""
    returns = []
    for number in range(POLICIES):
        keras.utils.set_random_seed(1000 + number)
        model = policy()
        if batch is not None:
            batch.train(model)

        def act(states, model=model):
            logits = model.predict_on_batch(normalization.normalize(states))
            return np.asarray(logits).argmax(1)

        returns.append(play(act, seed=number)[0].mean())
    return f"{np.mean(returns):.0f} ± {np.std(returns):.0f}"


print(f"The expert's return: {play(lambda s: expert(s).argmax(1))[0].mean():.0f}")
print(f"{POLICIES} new policies, as they are: {mean_returns()}")
distiller.compile(keras.optimizers.Adam(0.005, beta_1=0.5), students_per_step=4)
distiller.fit(real, steps_per_epoch=100, epochs=5, verbose=2)
batch = distiller.distilled()
print(f"{POLICIES} others, after one step: {mean_returns(batch)}")
batch.save("cartpole", overwrite=True)
