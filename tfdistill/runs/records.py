"""What the state of a run says in words: whose it is, and how far it has come."""

import json
from collections.abc import Mapping

import tensorflow as tf

from tfdistill._internal import fields

_RECORD = "record/.ATTRIBUTES/VARIABLE_VALUE"
_KINDS = {
    "start": fields.whole(-(2**53)),
    "run": fields.maybe(fields.OBJECT),
    "anneal": fields.maybe(fields.OBJECT),
}


def read(path: str) -> dict:
    """What a state says of its run: the history, `Anneal`'s state, the identity.

    Args:
        path: The prefix of the state's files.

    Raises:
        ValueError, tf.errors.OpError: If it is damaged.
    """
    text = tf.train.load_checkpoint(path).get_tensor(_RECORD).decode()
    record = fields.parse(text)
    fields.check(record, {"history": fields.each(fields.OBJECT)}, _KINDS)
    for epoch in record["history"]:
        figures = dict.fromkeys(epoch, fields.FIGURE)
        fields.check(epoch, {**figures, "outer_step": fields.whole(0)})
    # A subclass of `Anneal` may keep something else.
    fields.check(record.get("anneal") or {}, {}, {"elapsed": fields.number(0)})
    return record


def difference(record: Mapping, model) -> str | None:
    """In what a state is of another run than a model, by their `identity`, if it is."""
    # Earlier versions noted less, or nothing.
    known, own = record.get("run") or {}, identity(model)
    for name in [name for name in own if name in known]:
        if known[name] != own[name]:
            return f"its {name}: {known[name]}; here: {own[name]}"
    return None


def identity(model) -> dict:
    """The `identity` of a model as JSON gives it back; `{}` if it has none."""
    found = model.identity if hasattr(type(model), "identity") else {}
    return json.loads(json.dumps(found, default=str))
