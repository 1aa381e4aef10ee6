"""A run that dies goes on as if nothing had happened."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tfdistill import DistilledDataset

FLAGS = [
    "--student=mlp",
    "--outer_steps=60",
    "--report_every=10",
    "--steps=3",
    "--epochs=2",
    "--batch_size=100",
    "--num_students=2",
]


def start(workdir):
    return subprocess.Popen(
        [sys.executable, "-m", "tfdistill", "distill", f"--workdir={workdir}", *FLAGS],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd(), "TF_CPP_MIN_LOG_LEVEL": "2"},
    )


@pytest.mark.slow
def test_a_killed_run_ends_as_an_undisturbed_one(tmp_path):
    undisturbed = start(tmp_path / "whole")
    output, _ = undisturbed.communicate(timeout=300)
    assert undisturbed.returncode == 0, output

    process = start(tmp_path / "killed")
    backup = tmp_path / "killed" / "backup" / "checkpoint"
    deadline = time.monotonic() + 200
    while not backup.exists() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "metrics.json").exists()

    resumed = start(tmp_path / "killed")
    output, _ = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, output
    assert "Going on after outer step" in output

    whole = DistilledDataset.load(tmp_path / "whole" / "distilled")
    killed = DistilledDataset.load(tmp_path / "killed" / "distilled")
    # Every draw is a function of the seed and the outer step. What is left is the
    # order in which a sum is taken by several threads.
    np.testing.assert_allclose(killed.images, whole.images, atol=1e-5)
    np.testing.assert_allclose(killed.learning_rates, whole.learning_rates, rtol=1e-5)


def test_a_damaged_backup_falls_back_to_the_one_before(tmp_path):
    import keras

    import tfdistill

    digits = tfdistill.load_dataset("digits")

    def distiller():
        synthesizer = tfdistill.DistilledImages.from_noise(digits, steps=1, epochs=1)
        distiller = tfdistill.Distiller(tfdistill.students.linear, synthesizer)
        distiller.compile(keras.optimizers.Adam(0.01))
        return distiller

    model = distiller()
    model.fit(
        digits.train.batch(64, repeat=True),
        steps_per_epoch=2,
        epochs=3,
        verbose=0,
        callbacks=[tfdistill.Backup(tmp_path)],
    )
    newest = tmp_path / "ckpt-6.data-00000-of-00001"
    newest.write_bytes(newest.read_bytes()[:-200])
    with pytest.warns(UserWarning, match="damaged"):
        assert tfdistill.Backup(tmp_path).restore(distiller()) == 4
    for name in tmp_path.glob("ckpt-*"):
        name.write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="damaged"),
        pytest.raises(ValueError, match="No backup"),
    ):
        tfdistill.Backup(tmp_path).restore(distiller())
