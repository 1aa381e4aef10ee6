"""The public checks pass for all that ships, and find what is wrong elsewhere."""

import descriptors
import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdistill
from tfdistill import inner, testing
from tfdistill.inner.optimizers import plurals


@pytest.mark.parametrize("name", descriptors.META_GRADIENTS)
def test_meta_gradients(name, mirrored):
    testing.check_meta_gradient(
        descriptors.META_GRADIENTS[name],
        graph_grows=name.startswith(("full_unroll", "ridge")),
        strategy=mirrored,
    )


@pytest.mark.parametrize("name", descriptors.INNER_OPTIMIZERS)
def test_inner_optimizers(name):
    testing.check_inner_optimizer(descriptors.INNER_OPTIMIZERS[name])


@pytest.mark.parametrize("name", descriptors.OBJECTIVES)
def test_objectives(name):
    objective, takes_numbers = descriptors.OBJECTIVES[name]
    numbers = np.random.default_rng(0).normal(size=(8, 3))
    data = {"inner_labels": numbers, "real_labels": numbers} if takes_numbers else {}
    testing.check_objective(objective, **data)


@pytest.fixture(scope="module")
def initial_weights(tmp_path_factory):
    return descriptors.initial_weights(tmp_path_factory.mktemp("pool"))


@pytest.mark.parametrize("number", range(6))
def test_initial_weights(initial_weights, number):
    testing.check_initial_weights(list(initial_weights.values())[number])


@pytest.mark.parametrize("name", descriptors.SYNTHESIZERS)
def test_synthesizers(name):
    make, objective = descriptors.SYNTHESIZERS[name]
    real = None
    if isinstance(objective, tfdistill.Regression):
        rng = np.random.default_rng(1)
        real = rng.normal(size=(6, 5)), rng.normal(size=(6, 1))
    testing.check_synthesizer(make, objective=objective, real=real)


class Forgetful(inner.BackGradient.__mro__[1]):
    """Leaves the derivative of the last step out."""

    def __call__(self, problem):
        judgement = inner.BackGradient()(problem)
        gradients = [0.9 * g for g in judgement.gradients]
        return judgement._replace(gradients=gradients)


class Stopped(tfdistill.InnerOptimizer):
    """Hides its rate from the meta-gradient."""

    name = "stopped"

    def __init__(self):
        self.hyperparameters = (inner.learning_rate(0.1),)

    def update(self, t, hyperparameters, gradients, weights, slots):
        rate = tf.stop_gradient(hyperparameters["learning_rate"])
        return [w - rate * g for w, g in zip(weights, gradients)], slots


class Adagrad(tfdistill.InnerOptimizer):
    """Its running sums do not start from 0."""

    num_slots = 1

    def __init__(self):
        self.hyperparameters = (inner.learning_rate(0.05),)

    def slots(self, weights):
        return [0.1 + 0 * w for w in weights]

    def update(self, t, hyperparameters, gradients, weights, slots):
        slots = [s + tf.square(g) for s, g in zip(slots, gradients)]
        rate = hyperparameters["learning_rate"]
        steps = [rate * g / tf.sqrt(s) for g, s in zip(gradients, slots)]
        return [w - step for w, step in zip(weights, steps)], slots


def test_running_averages_that_do_not_start_from_zero():
    testing.check_inner_optimizer(Adagrad())


def test_students_of_a_pool_begin_with_the_slots_of_their_optimizer(digits):
    images = tfdistill.DistilledImages.from_real(digits, steps=1, epochs=1)
    students = tfdistill.LearningStudents(size=1, max_age=2, optimizer=Adagrad())
    distiller = tfdistill.Distiller("linear", images, students)
    distiller.compile(students_per_step=1)
    (own,) = (weights for _, weights in distiller.population.members)
    slots = own.variables[2:4]  # of kernel and bias
    least = []
    for _ in range(3):  # the third student is new again
        distiller.train_on_batch(*next(iter(digits.train.batch(64))))
        least.append(min(slot.numpy().min() for slot in slots))
    assert min(least) >= 0.1


class Halved(tfdistill.Classification):
    """Its totals are means, which don't add up."""

    def totals(self, labels, outputs):
        return self.metrics(labels, outputs)

    def figures(self, totals, num_examples):
        return totals


class Silent(tfdistill.Classification):
    """TensorFlow's own cross-entropy: no derivative for learned labels."""

    def inner_loss(self, labels, outputs):
        losses = tf.nn.softmax_cross_entropy_with_logits(labels, outputs)
        return tf.reduce_mean(losses)


class Single(tfdistill.Classification):
    """Keeps a loss of Keras, which computes in single precision."""

    smoothed = keras.losses.CategoricalCrossentropy(True, label_smoothing=0.1)

    def meta_loss(self, labels, outputs):
        return self.smoothed(tf.one_hot(labels, outputs.shape[-1]), outputs)


class Smoothed(tfdistill.Classification):
    """The same, of any precision."""

    def meta_loss(self, labels, outputs):
        loss = keras.losses.CategoricalCrossentropy(True, label_smoothing=0.1)
        return loss(tf.one_hot(labels, outputs.shape[-1]), outputs)


class Counting(tfdistill.Classification):
    """Counts errors, which has no derivative."""

    def meta_loss(self, labels, outputs):
        wrong = tf.argmax(outputs, -1, labels.dtype) != labels
        return tf.reduce_mean(tf.cast(wrong, outputs.dtype))


class Summed(tfdistill.Classification):
    """Sums where a mean is due."""

    def meta_loss(self, labels, outputs):
        return labels.shape[0] * super().meta_loss(labels, outputs)


class Larger(tfdistill.Classification):
    """The same of the inner loss."""

    def inner_loss(self, labels, outputs):
        return labels.shape[0] * super().inner_loss(labels, outputs)


class Erring(tfdistill.Classification):
    """Its metric is the error, under the name of the figure."""

    def metrics(self, labels, outputs):
        return {"accuracy": 1 - super().metrics(labels, outputs)["accuracy"]}


class Withheld(tfdistill.Classification):
    """A test leaves out its second metric."""

    metric_names = ("accuracy", "error")

    def metrics(self, labels, outputs):
        accuracy = super().metrics(labels, outputs)["accuracy"]
        return {"accuracy": accuracy, "error": 1 - accuracy}

    def figures(self, totals, num_examples):
        return {"accuracy": super().figures(totals, num_examples)["accuracy"]}


class Rooted(tfdistill.Classification):
    """A root of a mean is no mean."""

    def meta_loss(self, labels, outputs):
        return tf.sqrt(super().meta_loss(labels, outputs))


class Largest(tfdistill.Classification):
    """Looks at one example alone."""

    def inner_loss(self, labels, outputs):
        losses = -tf.reduce_sum(labels * tf.nn.log_softmax(outputs), -1)
        return tf.reduce_max(losses)


class Mixing(tfdistill.Classification):
    """Gives every student the mean of all."""

    def figures(self, totals, num_examples):
        accuracy = super().figures(totals, num_examples)["accuracy"]
        return {"accuracy": np.full(len(accuracy), accuracy.mean())}


class Numpy(tfdistill.Classification):
    """Its metrics leave TensorFlow."""

    metric_names = ("accuracy", "sureness")

    def metrics(self, labels, outputs):
        sureness = tf.constant(np.asarray(outputs).max(-1).mean())
        return {**super().metrics(labels, outputs), "sureness": sureness}


class Sized(tfdistill.Classification):
    """Knows only batches of a size that the graph knows."""

    def meta_loss(self, labels, outputs):
        ones = tf.ones(outputs.shape[0], outputs.dtype)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, outputs)
        return tf.reduce_mean(ones * losses)


class Refusing(tfdistill.Classification):
    """Takes no real labels."""

    def check_real(self, labels, num_classes):
        raise ValueError("these are none.")


class Untrained(inner.BackGradient.__mro__[1]):
    """Shows what the student said before it learned."""

    def __call__(self, problem):
        outputs, _, _ = problem.student(
            problem.weights, problem.state, problem.images, False
        )
        return inner.BackGradient()(problem)._replace(outputs=outputs)


class Negated(inner.BackGradient.__mro__[1]):
    """Shows outputs that are not those that its loss judges."""

    def __call__(self, problem):
        judgement = inner.BackGradient(judgements=2)(problem)
        return judgement._replace(outputs=-judgement.outputs)


class Idle(inner.Momentum):
    """Has a hyperparameter that does nothing."""

    name = "idle"

    def __init__(self):
        super().__init__()
        decay = inner.Hyperparameter("weight_decay", 0.01)
        self.hyperparameters = (*self.hyperparameters, decay)


class Called(inner.GradientDescent):
    """Has hyperparameters of given plurals."""

    name = "called"

    def __init__(self, *plurals):
        super().__init__()
        more = [
            inner.Hyperparameter(f"h{k}", 0.5, plural=plural)
            for k, plural in enumerate(plurals)
        ]
        self.hyperparameters = (*self.hyperparameters, *more)


class Copied(tfdistill.RandomWeights):
    """Tests one network again and again."""

    def sample_held_out(self, seed, number):
        return self.sample(tf.constant([1, 2]))


class Two(tfdistill.RandomWeights):
    """Holds out two networks, and does not begin again."""

    num_held_out = 2

    def sample_held_out(self, seed, number):
        with tf.control_dependencies([tf.debugging.assert_less(number, 2)]):
            return self.sample(tf.stack([0, number]))


class Unending(tfdistill.RandomWeights):
    """Says that there are two, and goes on."""

    num_held_out = 2


class Secretive(tfdistill.RandomWeights):
    """Changes a variable that no backup holds."""

    def build(self, make_model, model):
        super().build(make_model, model)
        self.scale = tf.Variable(1.0)

    def sample(self, seed):
        weights, state = super().sample(seed)
        return [self.scale * w for w in weights], state

    def advance(self, seed, problem):
        self.scale.assign(0.9 * self.scale)


class Open(Secretive):
    """Says what it changes."""

    @property
    def variables(self):
        return [self.scale]


class Borrowed(Silent):
    """Files would take it for the class that ships."""

    name = "classification"


class Hasty(inner.GradientDescent):
    """A name of another, and other steps."""

    name = "sgd"

    def update(self, t, hyperparameters, gradients, weights, slots):
        return super().update(
            t, hyperparameters, [2 * g for g in gradients], weights, slots
        )


class Restless(tfdistill.FixedWeights.__mro__[1]):
    """Says that it is fixed, and is not."""

    is_random = False

    def sample(self, seed):
        weights = self.student.weights
        noise = [tf.random.stateless_normal(w.shape, seed) for w in weights]
        return [w + n for w, n in zip(weights, noise)], self.student.state


class Counted(tfdistill.RandomWeights):
    """Keeps count in the host's memory."""

    @property
    def variables(self):
        return [tf.Variable(0)]


class Detached(tfdistill.Synthesizer, tfdistill.Curriculum):
    """Makes its images outside the sources: they never learn."""

    num_steps, num_classes, image_shape = 1, 3, (4, 4, 1)

    def __init__(self):
        super().__init__()
        self.schedule = tfdistill.Schedule(1, 1)
        self.inner_optimizer = self.schedule.inner_optimizer
        self.images = self.add_weight(shape=(3, 4, 4, 1), initializer="ones")
        identity = tfdistill.Normalization((0.0,), (1.0,))
        self.source = tfdistill.DataSource("none", identity, ("a", "b", "c"))

    def curriculum(self, seed):
        return self

    def batch(self, t):
        images = tf.stop_gradient(tf.convert_to_tensor(self.images.value))
        labels = tf.eye(3, dtype=images.dtype)
        return tfdistill.Batch(images, labels, self.schedule.at(t))


class Penalised(Detached):
    """Has a regularizer, which would do nothing."""

    def __init__(self):
        super().__init__()
        self.tint = self.add_weight(shape=(1,), regularizer="l2")


def test_penalties_of_a_synthesizer_are_refused():
    with pytest.raises(ValueError, match="no effect on Penalised"):
        tfdistill.Distiller("linear", Penalised())


def test_a_loss_of_keras_is_right():
    testing.check_objective(Smoothed())


def test_initial_weights_that_say_what_they_change():
    testing.check_initial_weights(Open())


def test_what_files_call_an_own_class(digits, tmp_path):
    """What changes the loss or the steps is not called as its parent."""
    assert Smoothed.name == tfdistill.Attack.name == "classification"
    assert Silent.name == "Silent"
    images = tfdistill.DistilledImages.from_real(digits, steps=1, epochs=1)
    with pytest.raises(ValueError, match="Borrowed needs a name of its own"):
        tfdistill.Distiller("linear", images, objective=Borrowed())
    with pytest.raises(ValueError, match="Hasty needs a name of its own"):
        tfdistill.DistilledImages.from_real(digits, inner_optimizer=Hasty())

    class Slow(inner.GradientDescent):
        def update(self, t, hyperparameters, gradients, weights, slots):
            less = [g / 2 for g in gradients]
            return super().update(t, hyperparameters, less, weights, slots)

    images = tfdistill.DistilledImages.from_real(
        digits, steps=1, epochs=1, inner_optimizer=Slow()
    )
    data = tfdistill.Distiller("linear", images, objective=Silent()).distilled()
    data.save(tmp_path / "own")
    model = tfdistill.students.build("linear", (8, 8, 1), 10)
    for known, unknown in (
        ({}, "'Slow', which does not ship"),
        ({"inner_optimizer": Slow()}, "'Silent', which does not ship"),
    ):
        again = tfdistill.DistilledDataset.load(tmp_path / "own", **known)
        with pytest.raises(ValueError, match=unknown):
            again.train(model)


def taught_by(own):
    return tfdistill.DistilledDataset(
        np.zeros((1, 2, 4, 4, 1)),
        np.eye(2)[None],
        recipe=tfdistill.LearnedSchedule(
            own, {h.name: np.full((1, 1), 0.5) for h in own.hyperparameters}
        ),
        normalization=tfdistill.Normalization((0.0,), (1.0,)),
        class_names=("a", "b"),
        student="linear",
    )


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["labels"], "'h0' 'labels', which is something else"),
        (["initial_weights_0"], "which is something else"),
        (["decays", "decays"], "'h0' and 'h1' both 'decays'"),
        (["learning_rates"], "'learning_rate' and 'h0' both 'learning_rates'"),
    ],
)
def test_hyperparameters_that_files_cannot_tell_apart_are_refused(
    names, says, tmp_path
):
    own = Called(*names)
    with pytest.raises(ValueError, match=says):
        tfdistill.Schedule(1, 2, inner_optimizer=own)
    data = taught_by(own)
    for write in data.save, data.to_npz:
        with pytest.raises(ValueError, match=says):
            write(tmp_path / "data")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "plurals", "says"),
    [
        ("rate", ["rates"], "'learning_rate' and 'rate' would be one variable"),
        ("decay", ["decays", "others"], "Two hyperparameters are called 'decay'"),
    ],
)
def test_hyperparameters_share_neither_variable_nor_name(name, plurals, says):
    own = inner.GradientDescent()
    own.hyperparameters += tuple(
        inner.Hyperparameter(name, 0.5, plural=plural) for plural in plurals
    )
    with pytest.raises(ValueError, match=says):
        tfdistill.Schedule(1, 2, inner_optimizer=own)


def test_folders_of_earlier_versions_load_with_such_names(tmp_path, monkeypatch):
    own = Called("labels")
    with monkeypatch.context() as earlier:
        earlier.setattr(plurals, "check", lambda hyperparameters: None)
        taught_by(own).save(tmp_path / "data")
    for known in {}, {"inner_optimizer": own}:
        data = tfdistill.DistilledDataset.load(tmp_path / "data", **known)
        np.testing.assert_array_equal([*data.hyperparameters.values()], [[[0.5]]] * 2)


@pytest.mark.parametrize("meta_gradient", [None, "full", "ridge"])
def test_a_loss_without_derivative_is_refused(meta_gradient, digits):
    images = tfdistill.DistilledImages.from_real(
        digits, steps=1, epochs=1, recipe=tfdistill.OrdinaryTraining()
    )
    kinds = {"full": inner.FullUnroll, "ridge": tfdistill.RidgeRegression}
    distiller = tfdistill.Distiller(
        "mlp",
        images,
        objective=Counting(),
        meta_gradient=kinds.get(meta_gradient, inner.BackGradient)(),
    )
    distiller.compile()
    with pytest.raises(ValueError, match="Counting.meta_loss has no derivative"):
        distiller.fit(digits.train.batch(64), steps_per_epoch=1, verbose=0)


def test_an_objective_is_not_blamed_for_a_student_without_derivative(digits):
    def stopped(image_shape, num_classes):
        images = keras.Input(image_shape)
        outputs = keras.layers.Dense(num_classes)(keras.layers.Flatten()(images))
        return keras.Model(images, keras.ops.stop_gradient(outputs))

    real = tfdistill.RealBatches(digits, steps=1, batch_size=8)  # which are not learned
    distiller = tfdistill.Distiller(stopped, real)
    distiller.compile()
    with pytest.raises(ValueError, match="^The student's outputs depend on nothing"):
        distiller.fit(digits.train.batch(64), steps_per_epoch=1, verbose=0)


@pytest.fixture(scope="module")
def digits():
    return tfdistill.load_dataset("digits")


@pytest.mark.parametrize(
    ("check", "says"),
    [
        (
            lambda: testing.check_meta_gradient(Forgetful(), xla=False),
            "derivative with respect to images is wrong",
        ),
        (
            lambda: testing.check_meta_gradient(len),
            "subclass of tfdistill.MetaGradient",
        ),
        (
            lambda: testing.check_meta_gradient(inner.FullUnroll(), xla=False),
            "must not grow with the number of steps",
        ),
        (
            lambda: testing.check_inner_optimizer(Stopped()),
            "derivative with respect to raw_rates is wrong",
        ),
        (lambda: testing.check_objective(Halved()), r"totals\(\) must add up"),
        (
            lambda: testing.check_objective(
                tfdistill.Regression(), real_labels=np.arange(8)
            ),
            r"Regression fails of inner_labels \[8, 3\], real_labels int32 \[8\] and ",
        ),
        (lambda: testing.check_objective(Silent()), "inner_loss's labels, of its grad"),
        (lambda: testing.check_objective(Single()), "float64, not float32"),
        (lambda: testing.check_objective(Counting()), "meta_loss has no derivative"),
        (
            lambda: testing.check_objective(Summed()),
            "meta_loss must be the mean over the batch, but of a batch it is",
        ),
        (
            lambda: testing.check_objective(Larger()),
            "inner_loss must be the mean over the batch, but of a batch it is",
        ),
        (
            lambda: testing.check_objective(Erring()),
            "The figure accuracy must be the metric of that name",
        ),
        (lambda: testing.check_objective(Withheld()), r"figures\(\) lacks error"),
        (lambda: testing.check_objective(Rooted()), "meta_loss must be the mean over"),
        (lambda: testing.check_objective(Largest()), "inner_loss must be the mean ov"),
        (
            lambda: testing.check_objective(Mixing()),
            "The figure accuracy must be that of each student by itself",
        ),
        (
            lambda: testing.check_objective(Numpy()),
            "metrics must work in a tf.function, of a batch of any size: .* NumPy",
        ),
        (
            lambda: testing.check_objective(Sized()),
            "meta_loss must work in a tf.function, of a batch of any size",
        ),
        (lambda: testing.check_objective(Refusing()), "your data has. these are none"),
        (
            lambda: testing.check_meta_gradient(Untrained(), xla=False),
            "outputs must be those of the trained student",
        ),
        (
            lambda: testing.check_meta_gradient(Negated(), xla=False),
            "outputs must be those that the loss judges",
        ),
        (
            lambda: testing.check_inner_optimizer(Idle()),
            "raw_weight_decays has no meta-gradient",
        ),
        (
            lambda: testing.check_inner_optimizer(Called("steps")),
            "'h0' 'steps', which is something else in them",
        ),
        (
            lambda: testing.check_initial_weights(Copied()),
            "num_held_out is None, but .* the same weights for the numbers 0 and 1",
        ),
        (
            lambda: testing.check_initial_weights(Two()),
            "begin again after num_held_out = 2, but it fails for 2",
        ),
        (
            lambda: testing.check_initial_weights(Unending()),
            "must give the weights of number 0 again",
        ),
        (
            lambda: testing.check_initial_weights(Secretive()),
            r"Secretive.variables must list every tf.Variable that advance\(\) changes",
        ),
        (lambda: testing.check_objective(Borrowed()), "Borrowed needs a name of its"),
        (lambda: testing.check_inner_optimizer(Hasty()), "Hasty needs a name of its"),
        (
            lambda: testing.check_initial_weights(Restless()),
            "is_random is False, but sample",
        ),
        (
            lambda: testing.check_initial_weights(Counted()),
            "must not have variables of int32",
        ),
        (
            lambda: testing.check_synthesizer(Detached),
            "has no meta-gradient",
        ),
        (
            lambda: testing.check_synthesizer(Penalised),
            "Penalties have no effect on Penalised",
        ),
        (
            lambda: testing.check_synthesizer(
                lambda: tfdistill.DistilledImages.from_real(
                    descriptors.digits(), steps=1, recipe="ordinary"
                )
            ),
            "recipe must be an object",
        ),
    ],
)
def test_what_is_wrong_is_found(check, says):
    with pytest.raises(AssertionError, match=says):
        check()


def test_a_class_in_place_of_an_object_is_refused(digits):
    images = tfdistill.DistilledImages.from_real(digits, steps=1, epochs=1)
    says = r"must be (a name or )?an object, {0}\(\), not the class {0} itself"
    for check, kind in (
        (testing.check_objective, Smoothed),
        (testing.check_inner_optimizer, inner.GradientDescent),
        (testing.check_meta_gradient, inner.FullUnroll),
        (testing.check_initial_weights, Counted),
    ):
        with pytest.raises(AssertionError, match=says.format(kind.__name__)):
            check(kind)
    for arguments in (
        {"objective": Smoothed},
        {"meta_gradient": inner.FullUnroll},
        {"initial_weights": tfdistill.RandomWeights},
    ):
        (kind,) = arguments.values()
        with pytest.raises(ValueError, match=says.format(kind.__name__)):
            tfdistill.Distiller("linear", images, **arguments)
    with pytest.raises(ValueError, match="synthesizer must be an object"):
        tfdistill.Distiller("linear", tfdistill.DistilledImages)
    with pytest.raises(ValueError, match=says.format("GradientDescent")):
        tfdistill.DistilledImages.from_real(
            digits, inner_optimizer=inner.GradientDescent
        )
    data = tfdistill.Distiller("linear", images).distilled()
    with pytest.raises(ValueError, match=says.format("OrdinaryTraining")):
        data.replace(recipe=tfdistill.OrdinaryTraining)
    with pytest.raises(AssertionError, match="a function that makes a synthesizer"):
        testing.check_synthesizer(images)


@pytest.mark.parametrize("recipe", [tfdistill.OrdinaryTraining, "ordinary"])
@pytest.mark.parametrize("meta_gradient", [None, tfdistill.RidgeRegression()])
def test_a_recipe_that_is_none_is_refused_before_training(
    digits, recipe, meta_gradient
):
    images = tfdistill.DistilledImages.from_real(
        digits, steps=1, epochs=1, recipe=recipe
    )
    with pytest.raises(ValueError, match="recipe must be an object"):
        tfdistill.Distiller("linear", images, meta_gradient=meta_gradient)


@pytest.mark.parametrize("weights", [None, tfdistill.FixedWeights()])
def test_data_that_trains_nothing_is_found(weights, digits, monkeypatch):
    """From fixed weights, too: to begin from them is not to learn."""
    images = tfdistill.DistilledImages.from_real(digits, steps=1, epochs=1)
    distiller = tfdistill.Distiller("linear", images, weights)
    distiller.compile()
    real, test = digits.train.batch(64, repeat=True), digits.test.batch(400)
    testing.check_distillation(distiller, real, test, "linear")
    monkeypatch.setattr(tfdistill.LearnedSchedule, "fit", lambda *_: None)
    with pytest.raises(AssertionError, match="has not changed the model"):
        testing.check_distillation(distiller, real, test, "linear")


def test_keras_is_as_it_was_after_a_check():
    testing.check_inner_optimizer(inner.GradientDescent(0.1))
    assert keras.config.floatx() == "float32"
    assert keras.config.dtype_policy().name == "float32"
