"""How long are the records of a TFRecord file? Read from their headers alone.

TensorFlow asks for the memory of a record before it looks at the file.
"""

import os
import struct
from collections.abc import Iterator


def of_file(path: str) -> Iterator[int]:
    """Gives the bytes of each record of a file.

    Raises:
        ValueError: If a record would be longer than what is left of the file.
    """
    size, place = os.path.getsize(path), 0
    with open(path, "rb", buffering=0) as file:  # a buffer reads more than headers
        while place < size:
            file.seek(place)
            head = file.read(8)
            # Its length, and a checksum of that; the record; a checksum of it.
            length = struct.unpack("<Q", head)[0] if len(head) == 8 else size
            place += 8 + 4 + length + 4
            if place > size:
                raise ValueError(
                    f"a record of {os.path.basename(path)} claims to be longer than "
                    "the file: it is damaged, or was copied in part; prepare it anew."
                )
            yield length
