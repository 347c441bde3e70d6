from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpttool.tensors import examining, read_plan
from ckpttool.tensors.catalogue import TensorInfo
from ckpttool.tensors.dtypes import DTYPES
from tests.builders import tensors as built

SPECIAL = [0.0, -0.0, float("nan"), float("inf"), 1e-30, -1e-20, 3e15, 1e30, 1e-45, 1.0]


@st.composite
def small_tensors(draw: st.DrawFn) -> dict[str, TensorInfo]:
    """Tensors of any type and byte order, of few sizes, some with special values, in one file."""
    kinds = draw(st.lists(st.tuples(st.sampled_from(list(DTYPES)), st.integers(0, 40)), min_size=1))
    kinds += draw(st.lists(st.tuples(st.just("float32"), st.sampled_from([4, 1023, 1024, 1500]))))
    kinds = [kind for kind in kinds for _ in range(draw(st.integers(1, 4)))]
    random = np.random.default_rng(draw(st.integers(0, 9)))
    infos = []
    for number, (name, elements) in enumerate(kinds):
        dtype = DTYPES[name]
        data = random.bytes(elements * dtype.bits // 8 if elements * dtype.bits % 8 == 0 else 0)
        if name in ("float32", "float64"):
            array = random.normal(size=elements).astype(name)
            if elements and draw(st.booleans()):
                array[random.integers(elements)] = draw(st.sampled_from(SPECIAL))
            if draw(st.integers(0, 5)) == 0:
                array[:] = draw(st.sampled_from(SPECIAL))
            data = array.tobytes()
        shape = (len(data) * 8 // dtype.bits,)
        infos.append(
            built.in_memory(
                data, name, shape, big_endian=draw(st.integers(0, 9)) == 0, name=str(number)
            )
        )
    return dict(built.catalogue(infos))


@settings(max_examples=150, deadline=None)
@given(small_tensors(), st.booleans())
def test_small_tensors_have_the_values_that_they_have_one_by_one(
    tensors: dict[str, TensorInfo], digests: bool
) -> None:
    sums = [built.stored(info) for info in tensors.values() if info.nbytes]
    plan = read_plan.plan(tensors, sums, ())
    items = list(enumerate(plan.readings))

    class Alone:
        memory = examining.Room(memoryview(bytearray(1 << 20)), bytearray())

        def check(self) -> None: ...

        def advance(self, _: int) -> None: ...

    worker: Any = Alone()
    asked = examining.Asked(digests, 0)
    with np.errstate(all="ignore"):
        one_by_one = [
            (index, *examining._examine(reading, worker, asked)) for index, reading in items
        ]
    found, summed = examining.examine_all(asked, items, worker)
    assert [(index, repr(one)) for index, one in sorted(found)] == [
        (index, repr(one)) for index, one, _ in one_by_one
    ]
    assert dict(summed) == {
        reading.checksum: one_by_one[index][2]
        for index, reading in items
        if reading.checksum is not None
    }
    assert all(sums[index].crc32 == crc32 for index, crc32 in summed)
