"""The outer loop: a Keras model whose `fit` learns distilled data."""

import keras
import numpy as np
import tensorflow as tf

from tfdistill import stability, students
from tfdistill._internal.checks import check_int, check_kind
from tfdistill._internal.seeds import Stream, student_seed
from tfdistill.data import normalised
from tfdistill.distilled import citations, synthesized
from tfdistill.distilled.dataset import DistilledDataset
from tfdistill.distilled.faces import DistillerFace
from tfdistill.evaluation.batches import Fits, LastPasses
from tfdistill.evaluation.validation import Validation
from tfdistill.inner import learned, objectives
from tfdistill.inner.back_gradient import BackGradient
from tfdistill.inner.objectives.base import Objective
from tfdistill.inner.problem import MetaGradient, Problem
from tfdistill.inner.tracing import accelerated, as_traced
from tfdistill.runs import fitting, strategies
from tfdistill.runs.state import RunState
from tfdistill.synthesizers.base import Synthesizer, check_penalties
from tfdistill.weights.base import InitialWeights
from tfdistill.weights.population import Population

#: Default of `back_off` for random initial weights; see `Distiller.compile`.
BACK_OFF = 10.0


class Distiller(DistillerFace, RunState, fitting.NotOfAModel, keras.Model):
    """Learns a synthesizer by training students on what it makes.

    Each outer step draws students from p(theta_0), trains each on the synthesizer's
    batches, judges them on a real batch, and applies the average meta-gradient to the
    synthesizer's variables (Wang et al. 2018, algorithm 1). `fit` takes batches of
    (normalised images, integer labels).

    Args:
        student: A callable that returns a `keras.Model` with logits (it may take
            `image_shape` and `num_classes`), the name of a shipped one, or
            `students.Sampled`: several, of which one is drawn for each student.
        synthesizer: What makes the synthetic batches, e.g. `DistilledImages`.
        initial_weights: p(theta_0); `RandomWeights()` by default.
        objective: How students are taught, and what they are judged on;
            `Classification()` by default.
        meta_gradient: How students learn, and how that is differentiated;
            `BackGradient()` by default.
        seed: Seed of all students' initial weights; of the weights that Keras draws for
            `FixedWeights()`, too, unless `keras.utils.set_random_seed` was called.

    Raises:
        ValueError: If the student doesn't fit the synthesizer's images and classes, it
            expects images in 0..255 or has no derivative by learned images, the meta-
            gradient refuses it or the synthesizer, or that has no recipe, or penalties.

    Example:
        >>> import tfdistill
        >>> digits = tfdistill.load_dataset("digits").hold_out(0.1)
        >>> images = tfdistill.DistilledImages.from_real(digits, steps=2)
        >>> distiller = tfdistill.Distiller("linear", images)
        >>> distiller.compile()
        >>> real = digits.train.batch(128, shuffle=True, repeat=True)
        >>> history = distiller.fit(real, steps_per_epoch=3, verbose=0)
        >>> distiller.distilled().num_images
        20
    """

    def __init__(
        self,
        student,
        synthesizer: Synthesizer,
        initial_weights: InitialWeights | None = None,
        objective: Objective | str = "classification",
        *,
        meta_gradient: MetaGradient | None = None,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        synthesized.check(synthesizer)
        self.synthesizer = synthesizer
        self.objective = objectives.get(objective)
        self.meta_gradient = meta_gradient or BackGradient()
        check_kind("meta_gradient", self.meta_gradient, MetaGradient)
        self.seed = check_int("seed", seed, 0)
        # The students' variables are not the distiller's to train: a Population hides
        # them from Keras's tracking.
        self.population = Population(
            student,
            synthesizer.image_shape,
            synthesizer.num_classes,
            initial_weights,
            logits=self.objective.takes_logits,
            seed=self.seed,
        )
        normalization = synthesizer.source and synthesizer.source.normalization
        models = [learner.model for learner, _ in self.population.members]
        shape, variables = synthesizer.image_shape, synthesizer.trainable_variables
        students.check_range(models, self.population.name, shape, normalization)
        stability.check_precision(variables)
        strategies.check_made_here("synthesizer", variables, self.distribute_strategy)
        curriculum = synthesizer.curriculum(student_seed(self.seed))
        for learner, _ in self.population.members:
            self.meta_gradient.check_student(learner, shape)
            learned.check(learner, shape, curriculum)
        self.meta_gradient.check_synthesizer(synthesizer, curriculum)
        labels = curriculum.batch(tf.constant(0)).labels
        self.objective.check_start(keras.ops.convert_to_numpy(labels)[None])
        check_penalties(type(synthesizer).__name__, synthesizer.losses)
        self._loss, *metrics = [
            stability.MeanOfFinite(n) for n in ("loss", *self.objective.metric_names)
        ]
        self._metrics_by_name = {metric.name: metric for metric in metrics}
        # The usual norms of the meta-gradients, one for each source.
        self.gradient_norms = [
            stability.add_scalar(self, "norm") for _ in curriculum.sources
        ]
        self.usual_loss = stability.add_scalar(self, "usual_loss")
        means = [*self.gradient_norms, self.usual_loss]
        self._means = [stability.RunningMean(variable) for variable in means]
        # Outer steps in a row in which no student ended finite.
        self.failures = stability.add_scalar(self, "failed", "int32")
        self.wrong_labels = stability.add_counter()
        self._validation_students, self._compiled_by_xla = 4, accelerated()
        self._validation: Validation | None = None
        self._check_batch = Fits(synthesizer, self.objective, normalization)
        self._last_passes = LastPasses(self._check_batch)
        # All variables are there from the start, those of synthesizers too.
        self.built = synthesizer.built = True

    def compile(
        self,
        optimizer=None,
        *,
        students_per_step: int = 2,
        clip: float | None = 2.0,
        back_off: float | None = None,
        validation_students: int = 4,
        jit_compile: bool | None = None,
        **kwargs,
    ):
        """Sets how the synthesizer is learned.

        Args:
            optimizer: The outer optimizer; Adam(0.01, beta_1=0.5) by default. Weight
                decay is for what is learned but the hyperparameters of a `Schedule`.
            students_per_step: Number of students over which the meta-gradient is
                averaged, at least 1; with fixed initial weights, one is enough. They
                run in parallel. A strategy of several replicas shares them out evenly;
                each replica judges its students on its own part of the real batch.
            clip: The norm of each student's meta-gradient, for each of its curriculum's
                `sources`, is clipped to this many times its running average
                (arXiv:2311.07025); None for no clipping. Students whose loss or
                gradients are not finite are left out.
            back_off: When a student diverges (its meta-loss is not finite, or is more
                than twice the usual one), all learned rates shrink about as far as this
                many outer steps could move them. The meta-gradient does not see how
                likely a student is to diverge, and raises the rates until it happens.
                By default 10, and 0 for fixed initial weights.
            validation_students: Number of fresh students that `evaluate` trains.
            jit_compile: Whether XLA compiles the outer step. By default, on GPU and
                TPU; on CPU, it was measured to be slower.
            **kwargs: Passed to `keras.Model.compile`, but for a loss and metrics: what
                students are judged on is the `objective`.

        Raises:
            ValueError: If a number is out of range, the optimizer scales losses or
                accumulates gradients, or there is a loss or a metric.
        """
        students_per_step = check_int("students_per_step", students_per_step, 1)
        validation_students = check_int("validation_students", validation_students, 1)
        fitting.check_compile(kwargs)
        if clip is not None and not clip > 0:
            raise ValueError(f"clip must be above 0, or None, not {clip}.")
        if back_off is None:
            back_off = BACK_OFF if self.population.is_random else 0.0
        if not back_off >= 0:
            raise ValueError(f"back_off must be at least 0, not {back_off}.")
        if jit_compile is None:
            jit_compile = accelerated()
        self._students_per_replica = strategies.share(
            "students_per_step", students_per_step, self.distribute_strategy
        )
        self._compiled_by_xla, self._validation = jit_compile, None
        *norms, loss = self._means
        self._clipping = stability.Clipping(clip, norms)
        self._back_off = stability.BackOff(back_off, loss) if back_off else None
        self._validation_students = validation_students
        with self.distribute_strategy.scope():
            optimizer = keras.optimizers.get(
                optimizer or keras.optimizers.Adam(0.01, beta_1=0.5)
            )
            stability.check_optimizer(optimizer)
            stability.spare_rates(optimizer, self.synthesizer)
            if not optimizer.built:
                optimizer.build(self.synthesizer.trainable_variables)
        if optimizer is not getattr(self, "optimizer", None):  # else perhaps annealed
            self.base_rate = float(tf.convert_to_tensor(optimizer.learning_rate))
        strategies.check_made_here(
            "optimizer", optimizer.variables, self.distribute_strategy
        )
        super().compile(
            optimizer=optimizer,
            jit_compile=False,
            # The outer step scales no loss: gradients are not to be divided, either.
            **{**kwargs, "auto_scale_loss": False},
        )

    @property
    def patience(self) -> int:
        """`fit` stops after this many outer steps in a row without a finite student."""
        return 10 if self._back_off else 1

    @property
    def metrics(self):
        return [self._loss, *self._metrics_by_name.values()]

    def train_step(self, data):
        """One outer step on one real batch (images, labels)."""
        images, labels = fitting.pairs(data)
        if self.objective.takes_class_numbers:
            labels, wrong = fitting.of_classes(labels, self.synthesizer.num_classes)
            self.wrong_labels.assign_add(wrong)
        with tf.control_dependencies([images]):  # there may be no more
            seeds = self.student_seeds()
        # A network may make what students learn from. Its derivative is taken after
        # those of the students, and only once if all have the same curriculum.
        with tf.GradientTape() as tape:
            distinct = seeds if self.synthesizer.is_random else seeds[:1]
            curricula = [self.synthesizer.curriculum(seed) for seed in distinct]
        judgements = self._judgements(curricula, seeds, images, labels)
        step, losses = self.optimizer.iterations, tf.stack([j.loss for j in judgements])
        gradients = [j.gradients for j in judgements]
        norms, finite = stability.norms(losses, gradients)
        shares = self._clipping.shares(gradients, norms, finite, step)
        if not self.synthesizer.is_random:
            shares = [[tf.add_n(of_source) for of_source in zip(*shares)]]
        variables = self.synthesizer.trainable_variables
        gradients = tape.gradient(
            [source for curriculum in curricula for source in curriculum.sources],
            [v.value for v in variables],
            output_gradients=[g for of_student in shares for g in of_student],
            unconnected_gradients="zero",
        )
        if self._back_off:
            rate, size = self.optimizer.learning_rate, tf.shape(images)[0]
            factor = self._back_off.factor(losses, finite, step, rate, size)
            self.synthesizer.scale_rates(factor)
        stability.apply(self.optimizer, gradients, variables)
        return self._logs(judgements, losses, finite)

    def _judgements(self, curricula, seeds, images, labels):
        """Trains each student and judges it on the real batch."""

        def judged(seeds, images, labels):
            def judge(seed, number):
                def learn(initial_weights, weights, state):
                    what = (initial_weights.student, curricula[number], self.objective)
                    problem = Problem(*what, weights, state, images, labels)
                    judgement = self.meta_gradient(problem)
                    initial_weights.advance(seed, problem)
                    return judgement

                return self.population.draw(seed, learn)

            # Those who learn from the same are traced once.
            if len(curricula) < len(seeds) and tf.inside_function():
                judge = tf.function(judge, autograph=False)
            return [judge(seed, k % len(curricula)) for k, seed in enumerate(seeds)]

        if self._compiled_by_xla:  # the work of one replica, without communication
            judged = tf.function(judged, jit_compile=True, autograph=False)
        return judged(seeds, images, labels)

    def _logs(self, judgements, losses, finite):
        loss = stability.mean_over_students(losses, finite)
        some = tf.math.is_finite(loss)
        self.failures.assign(tf.where(some, 0, self.failures + 1))
        self._loss.add(loss, some)
        for judgement, is_finite in zip(judgements, tf.unstack(finite)):
            metrics = self.objective.metrics(judgement.labels, judgement.outputs)
            for name, value in metrics.items():
                self._metrics_by_name[name].add(value, is_finite)
        return strategies.logs(self.distribute_strategy, self.get_metrics_result())

    def make_train_function(self, force=False):
        """Keras's own, run as it is traced; see `as_traced`."""
        if force or self.train_function is None:
            super().make_train_function(force=True)
            self.train_function = as_traced(self.train_function)
        return self.train_function

    def student_seeds(self) -> list[tf.Tensor]:
        """The seeds of a replica's students in this outer step, each int32 `[2]`."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        return [
            student_seed(
                self.seed,
                Stream.TRAINING,
                tf.cast(self.optimizer.iterations, tf.int32),
                replica * self._students_per_replica + k,
            )
            for k in range(self._students_per_replica)
        ]

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        **kwargs,
    ):
        """Same as `keras.Model.fit`, but stops with an error if the meta-loss diverges.

        With `verbose=1` (or "auto") one bar shows the whole run, see `ProgressBar`.
        After Ctrl-C another `fit` goes on; with `Backup`, in another process, too.

        Raises:
            ValueError: If the first batch is not one of normalised images with labels
                of the objective, a later one holds labels of no class, an argument
                would have no effect, or the data no end.
            FloatingPointError: If the meta-loss or its gradient becomes NaN or
                infinite. The synthesizer's variables keep their last finite state.
        """
        batch, x = normalised.first_batch(x, y)
        if batch is not None:
            self._check_batch(*batch)
        if y is not None:
            self.objective.check_real(np.asarray(y), self.synthesizer.num_classes)
        fitting.check_fit(x, {"epochs": epochs, **kwargs})
        kwargs = self._last_passes.with_validation(kwargs)
        callbacks, verbose = fitting.with_own(callbacks, self.objective, verbose)
        if y is None and not isinstance(x, keras.utils.PyDataset):
            # A pipeline has its order; Keras warns if it is told to shuffle one.
            kwargs.setdefault("shuffle", False)
        with fitting.stopped_at_last(callbacks, self, kwargs.get("initial_epoch")):
            return super().fit(x, y, batch_size, epochs, verbose, callbacks, **kwargs)

    def train_on_batch(self, x, y=None, *args, **kwargs):
        """Same as `keras.Model.train_on_batch`: one outer step.

        Raises:
            ValueError: If `fit` would refuse the batch.
        """
        self._check_batch(np.asarray(x), None if y is None else np.asarray(y))
        return super().train_on_batch(x, y, *args, **kwargs)

    def evaluate(
        self, x=None, y=None, *, return_dict=False, num_students=None, **kwargs
    ):
        """Trains fresh students on the distilled data and tests them.

        Args:
            x: A `Split`, batches of (normalised images, labels), or an array of images.
            y: The labels, if `x` is an array.
            return_dict: Whether to return a dict; otherwise a list of its values.
            num_students: Number of students; by default `validation_students` of
                `compile`.
            **kwargs: `steps`: the number of batches to test on; `batch_size` of an
                array, 1000 by default. Others of `keras.Model.evaluate` are ignored.

        Returns:
            The loss, and for each figure of the objective its mean over students and,
            as `NAME_std`, its standard deviation; for classification "accuracy" and
            "accuracy_std", in 0..1.
        """
        if y is not None:
            pairs = tf.data.Dataset.from_tensor_slices((x, y))
            x = pairs.batch(kwargs.get("batch_size") or 1000)
        number = self._validation_students if num_students is None else num_students
        logs = self.test(self._last_passes(x, kwargs.get("steps")), number).logs()
        return logs if return_dict else list(logs.values())

    def test(self, batches, num_students: int):
        """Same as `evaluate` of a `Split` or batches, but returns an `Evaluation`."""
        num_students = check_int("num_students", num_students, 1)
        if self._validation is None:
            self._validation = Validation(self, self.distilled, self._compiled_by_xla)
        return self._validation(self._last_passes(batches), num_students, self.seed)

    def distilled(self, **provenance) -> DistilledDataset:
        """The distilled data, as the synthesizer is now.

        Args:
            **provenance: Values that JSON can hold, saved with the data.
        """
        choices = self.meta_gradient, self.synthesizer, self.population.members[0][1]
        method = citations.method(*choices)
        made = {"seed": self.seed, "method": method, **self.population.record()}
        return DistilledDataset.from_synthesizer(
            self.synthesizer,
            student=self.population.name,
            initial_weights=self.population.saved(),
            objective=self.objective,
            provenance={**made, **provenance},
        )
